package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// removerName is the first argument by which this program knows that it is to take away what another run left in tracefs.
//
// The arguments are: removerName, the descriptor of a pipe whose end says that the run is over, the root of tracefs, and
// the name of the instance, which is the group of the events too.
const removerName = "sonde: tracefs"

// Remover is a process of this same program that outlives the run however that ends, SIGKILL included, and takes away its
// instance and its events. It is in a session of its own, so no ^C reaches it.
type Remover struct {
	proc *os.Process
	pipe *os.File
}

// StartRemover starts the process that takes the instance of that name away, and the events of the group of that name.
func StartRemover(dir, name string) (*Remover, error) { return startRemover(root{dir: dir}, name) }

func startRemover(at root, name string) (*Remover, error) {
	held, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer held.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		ours.Close()
		return nil, err
	}
	defer null.Close()
	dir, files := at.dir, []*os.File{null, null, null, held}
	if at.held != nil {
		dir, files = own+strconv.Itoa(len(files)), append(files, at.held)
	}
	proc, err := os.StartProcess("/proc/self/exe", []string{removerName, "3", dir, name}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("starting the process that cleans up: %w; is /proc mounted?", err)
	}
	return &Remover{proc, ours}, nil
}

// Done lets it do its work, and waits for it.
func (r *Remover) Done() error {
	r.pipe.Close()
	state, err := r.proc.Wait()
	if err != nil {
		return err
	}
	if !state.Success() {
		return fmt.Errorf("the process that cleans up: %s", state)
	}
	return nil
}

// RemoverMain is the process that cleans up. Main must call it with its arguments before it does anything else; handled is
// false in every other process.
func RemoverMain(args []string) (handled bool, status int) {
	if len(args) == 0 || args[0] != removerName {
		return false, 0
	}
	if len(args) != 4 || !validName(args[3]) {
		return true, 2
	}
	fd, err := strconv.Atoi(args[1])
	var st unix.Stat_t
	if err != nil || unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return true, 2
	}
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGQUIT)
	var b [1]byte
	for {
		if _, err := unix.Read(fd, b[:]); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if remove(args[2], args[3]) != nil {
		return true, 1
	}
	return true, 0
}

// How long what the kernel still holds is tried again: of a run that was killed, the files may take a while to close, and on a
// machine that has no time to spare each step waits for all its CPUs.
const (
	removeFor  = 5 * time.Minute
	removeTick = 10 * time.Millisecond
)

// remove takes away an instance and the events of the group of that name.
func remove(dir, name string) error {
	for until := time.Now().Add(removeFor); ; time.Sleep(removeTick) {
		err := removeOnce(dir, name)
		if err == nil || time.Now().After(until) {
			return err
		}
	}
}

func removeOnce(dir, name string) error {
	if err := unix.Rmdir(filepath.Join(dir, "instances", name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	events, err := EventsOf(dir, name)
	if err != nil {
		return err
	}
	var busy error // one that the kernel holds must not keep the others
	for _, event := range events {
		if err := Define(dir, "-:"+event); err != nil && !errors.Is(err, fs.ErrNotExist) {
			busy = err
		}
	}
	return busy
}

// EventsOf returns the events of a group, as GROUP/EVENT, by the folders that they have. The text of dynamic_events is no proof that there
// are none: it is read in parts, and an event of somebody else that goes between two parts hides another one.
func EventsOf(dir, group string) (events []string, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, "events", group))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() {
			events = append(events, group+"/"+e.Name())
		}
	}
	return events, nil
}

// Define writes one line to dynamic_events. The file is opened to append: opened otherwise, all there are would be removed.
func Define(dir, line string) error {
	f, err := os.OpenFile(filepath.Join(dir, "dynamic_events"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(line + "\n")
	return err
}
