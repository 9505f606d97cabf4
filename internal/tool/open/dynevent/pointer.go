package dynevent

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"sonde/internal/tracefs"
)

// errPointers is of a kernel whose event probes are of no use for names.
var errPointers = errors.New("event probes of this kernel read one byte of where a name is, instead of its address: a fault that other kernels do not have")

var pointerRead = regexp.MustCompile(` at=0x([0-9a-f]+)\n`)

// tryPointers has an event probe read the address of a name, and says errPointers if it comes back as something else. A tracepoint's
// field of the type "char *" is a text for event probes, and some kernels fetch a single char from where its address is: every name
// becomes "(fault)", with no error anywhere. Fields of other types are read rightly. It was so in 6.12.95, and is not in 6.1.192 and
// 7.2.13.
func (i instance) tryPointers(suffix string) error {
	name := "pointer_" + suffix
	if err := tracefs.Define(i.Dir, "e:"+i.Name+"/"+name+" syscalls.sys_enter_openat at=$filename:x64"); err != nil {
		return fmt.Errorf("trying event probes: %w", tracefs.Bare(err))
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := i.Set("common_pid == "+strconv.Itoa(unix.Gettid()), "events", i.Name, name, "filter"); err != nil {
		return err
	}
	if err := i.Set("1", "events", i.Name, name, "enable"); err != nil {
		return err
	}
	if err := i.Set("1", "tracing_on"); err != nil {
		return err
	}
	if fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0); err == nil {
		unix.Close(fd)
	}
	if err := i.Set("0", "tracing_on"); err != nil {
		return err
	}
	text, err := os.ReadFile(i.Path("trace"))
	if err != nil {
		return fmt.Errorf("tracefs: %w", err)
	}
	if err := i.Set("0", "events", i.Name, name, "enable"); err != nil {
		return err
	}
	if err := i.Set("", "trace"); err != nil { // opening it has emptied the buffers
		return err
	}
	if err := tracefs.Define(i.Dir, "-:"+i.Name+"/"+name); err != nil {
		return fmt.Errorf("tracefs: removing %s: %w", name, tracefs.Bare(err))
	}
	return judgePointers(string(text))
}

// judgePointers says whether what a trial told is an address. A char may have a sign.
func judgePointers(trace string) error {
	told := pointerRead.FindStringSubmatch(trace)
	if told == nil {
		return errors.New("event probes of this kernel tell nothing")
	}
	if at, err := strconv.ParseUint(told[1], 16, 64); err != nil || at <= 0xff || int64(at) < 0 {
		return errPointers
	}
	return nil
}
