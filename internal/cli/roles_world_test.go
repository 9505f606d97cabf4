package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// roleContained becomes a program as in a container: FOLDER is a file system of its own, which nobody sees from outside, the files of
// SOURCE=TARGET are copied there, it becomes the root, and PROGRAM is executed. It is to be started in a mount namespace of its own.
// The arguments are FOLDER, PROGRAM, and SOURCE=TARGET, as many as needed.
func roleContained(args []string) int {
	folder, program := args[0], args[1]
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fail(err)
	}
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, ""); err != nil {
		return fail(err)
	}
	for _, pair := range args[2:] {
		source, target, _ := strings.Cut(pair, "=")
		text, err := os.ReadFile(source)
		if err != nil {
			return fail(err)
		}
		to := filepath.Join(folder, target)
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, text, 0o755)); err != nil {
			return fail(err)
		}
	}
	if err := errors.Join(unix.Chroot(folder), unix.Chdir("/")); err != nil {
		return fail(err)
	}
	return fail(unix.Exec(program, []string{program, "waits"}, []string{}))
}

// endsAtStage ends a process when sonde has come to a stage, if the environment says so: "STAGE PID". It waits until that has ended,
// though its parent may not have heard of it yet.
func endsAtStage() func(string) {
	at, number, ok := strings.Cut(os.Getenv(stageEnv), " ")
	if !ok {
		return nil
	}
	return func(stage string) {
		if stage != at {
			return
		}
		pid, err := strconv.Atoi(number)
		if err != nil {
			panic(err)
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			panic(err)
		}
		for alive(pid) {
			time.Sleep(time.Millisecond)
		}
	}
}

const stageEnv = "SONDE_TEST_ENDS"

// alive says whether a process is there, and no zombie.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return rest != "" && rest[0] != 'Z' && rest[0] != 'X'
}
