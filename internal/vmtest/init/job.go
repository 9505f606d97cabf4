package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/vmtest/wire"
)

var environment = []string{
	"PATH=/bin:/sbin:/usr/bin:/usr/sbin",
	"HOME=/root",
	"USER=root",
	"LOGNAME=root",
	"SHELL=/bin/sh",
	"TERM=dumb",
	"LANG=C.UTF-8",
	"TMPDIR=/tmp",
}

// runJob runs one job to its end. An error means that the guest itself is broken; a program that cannot be started is
// an exit status of 127 with the reason in the output, as in a shell.
func runJob(number int, job wire.Job, output port) (wire.Exit, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return wire.Exit{}, err
	}
	null, err := os.Open("/dev/null")
	if err != nil {
		return wire.Exit{}, err
	}
	defer null.Close()

	pid, err := syscall.ForkExec(job.Args[0], job.Args, &syscall.ProcAttr{
		Dir:   job.Dir,
		Env:   append(append([]string{}, environment...), job.Env...),
		Files: []uintptr{null.Fd(), w.Fd(), w.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	w.Close()
	if err != nil {
		r.Close()
		message := fmt.Sprintf("guest: cannot start %s: %v\n", job.Args[0], err)
		return wire.Exit{Code: 127}, wire.WriteFrame(output, number, []byte(message))
	}

	copied := make(chan error, 1)
	go func() {
		buf := make([]byte, wire.MaxFrame)
		for {
			n, err := r.Read(buf)
			if n > 0 {
				if err := wire.WriteFrame(output, number, buf[:n]); err != nil {
					copied <- err
					return
				}
			}
			if err != nil {
				copied <- nil
				return
			}
		}
	}()

	exit, err := reap(pid)
	if err != nil {
		return wire.Exit{}, err
	}
	// Whatever the job left running must neither disturb the next job nor hold the pipe open. From process 1 this
	// reaches every process but itself.
	_ = unix.Kill(-1, unix.SIGKILL)
	select {
	case err = <-copied:
	case <-time.After(10 * time.Second):
		err = errors.New("its output does not end although all its processes were killed")
	}
	r.Close()
	return exit, err
}

// reap collects every process that ends, since orphans become children of process 1, until pid has ended.
func reap(pid int) (wire.Exit, error) {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return wire.Exit{}, fmt.Errorf("waiting: %w", err)
		case got == pid && status.Signaled():
			return wire.Exit{Signal: int(status.Signal())}, nil
		case got == pid && status.Exited():
			return wire.Exit{Code: status.ExitStatus()}, nil
		}
	}
}

// port is a virtio-serial port. It is written with plain blocking system calls: only then has the host taken the bytes
// when the write returns, and switching off loses none.
type port int

// openPort opens the port that the host gave this name.
func openPort(name string) (port, error) {
	const class = "/sys/class/virtio-ports"
	// The driver adds ports from a work queue, some time after the module is loaded.
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		entries, _ := os.ReadDir(class)
		for _, e := range entries {
			got, err := os.ReadFile(filepath.Join(class, e.Name(), "name"))
			if err != nil || strings.TrimSpace(string(got)) != name {
				continue
			}
			fd, err := unix.Open(filepath.Join("/dev", e.Name()), unix.O_WRONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return -1, fmt.Errorf("opening port %s: %w", name, err)
			}
			return port(fd), nil
		}
	}
	return -1, fmt.Errorf("no virtio-serial port named %s appeared", name)
}

func (p port) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		n, err := unix.Write(int(p), b[written:])
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

func (p port) say(line string) error {
	_, err := p.Write([]byte(line))
	return err
}
