package cli

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// More roles, for bad weather.
func init() {
	maps.Copy(roles, map[string]func([]string) int{
		"as":      roleAs,
		"covered": roleCovered,
		"deaf":    roleDeaf,
		"limit":   roleLimit,
		"nest":    roleNest,
		"signals": roleSignals,
		"without": roleWithout,
	})
}

// roleWithout becomes another program as a root that lacks capabilities: without 39,38 PATH ARG...
func roleWithout(args []string) int {
	runtime.LockOSThread()
	for s := range strings.SplitSeq(args[0], ",") {
		capability, err := strconv.Atoi(s)
		if err != nil {
			return fail(err)
		}
		// What is not in the bounding set is not gained by execve, not even by root.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0); err != nil {
			return fail(fmt.Errorf("capability %d: %w", capability, err))
		}
	}
	return fail(syscall.Exec(args[1], args[1:], os.Environ()))
}

// roleLimit becomes another program with a resource limit, soft and hard: limit RESOURCE N PATH ARG...
func roleLimit(args []string) int {
	resource, err := strconv.Atoi(args[0])
	if err != nil {
		return fail(err)
	}
	n, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return fail(err)
	}
	// Through package syscall, so that it does not put an old limit on descriptors back when it executes.
	if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
		return fail(err)
	}
	return fail(syscall.Exec(args[2], args[2:], os.Environ()))
}

// roleAs executes PATH twice, as root and as another user: as UID PATH.
func roleAs(args []string) int {
	uid, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil {
		return fail(err)
	}
	for _, c := range []struct {
		who string
		sys *syscall.SysProcAttr
	}{
		{"root", nil},
		{"other", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}},
	} {
		pid, err := syscall.ForkExec(args[1], []string{"true", c.who}, &syscall.ProcAttr{Sys: c.sys, Files: []uintptr{0, 1, 2}})
		if err == nil {
			err = reap(pid)
		}
		if err != nil {
			return fail(err)
		}
	}
	return 0
}

// roleNest makes N generations of itself; the last says "ready PID" and then does what it reads, a line for each:
// "spawn PATH ARG..." executes that in a child and says "done", "exec PATH ARG..." becomes it. nest N.
func roleNest(args []string) int {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return fail(err)
	}
	if n > 0 {
		pid, err := spawn(filepath.Join(filepath.Dir(os.Args[0]), "role-nest"), []string{os.Args[0], strconv.Itoa(n - 1)})
		if err == nil {
			err = reap(pid)
		}
		if err != nil {
			return fail(err)
		}
		return 0
	}
	fmt.Printf("ready %d\n", os.Getpid())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		words := strings.Fields(in.Text())
		if words[0] == "exec" {
			return fail(syscall.Exec(words[1], words[1:], nil))
		}
		pid, err := spawn(words[1], words[1:])
		if err == nil {
			err = reap(pid)
		}
		if err != nil {
			return fail(err)
		}
		fmt.Println("done")
	}
	return 0
}

// roleSignals says "ready", waits for a signal that ends other programs, and ends with the status 40 and its number.
func roleSignals([]string) int {
	signals := make(chan os.Signal, 1)
	notify(signals)
	fmt.Println("ready")
	return 40 + int((<-signals).(syscall.Signal))
}

// roleDeaf says "ready" and its process id, and ignores what ends other programs.
func roleDeaf([]string) int {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	fmt.Println("ready", os.Getpid())
	return roleSleep(nil)
}

// roleCovered becomes another program that sees an empty folder at each of these mount points and folders, and what is
// mounted below them gone: covered DIR[=FILE:TEXT],... PATH ARG... Nobody else sees a difference.
func roleCovered(args []string) int {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fail(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fail(err)
	}
	for s := range strings.SplitSeq(args[0], ",") {
		dir, file, _ := strings.Cut(s, "=")
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			continue
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
			return fail(fmt.Errorf("%s: %w", dir, err))
		}
		if name, text, ok := strings.Cut(file, ":"); ok {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o644); err != nil {
				return fail(err)
			}
		}
	}
	return fail(syscall.Exec(args[1], args[1:], os.Environ()))
}
