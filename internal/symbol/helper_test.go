package symbol

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary is also the process that is looked at: with this in its environment it obeys lines on its input.
const helperVariable = "SONDE_SYMBOL_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		obey()
		return
	}
	os.Exit(m.Run())
}

//go:noinline
func helperFunction() {}

// obey answers each line with an address; after an exec it is the new program that answers.
func obey() {
	if os.Getenv(helperVariable) == "answer" {
		fmt.Println(0)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		word, argument, _ := strings.Cut(lines.Text(), " ")
		var address uintptr
		var err error
		switch word {
		case "function":
			address = reflect.ValueOf(helperFunction).Pointer()
		case "map": // the text of a testELF
			address, err = mapFile(argument)
		case "jit": // some memory to run code in, and a name for it
			address, err = mapFile("")
			if err == nil && argument != "" {
				line := fmt.Sprintf("%x 40 %s\n", address+0x100, argument)
				err = os.WriteFile(fmt.Sprintf("/tmp/perf-%d.map", os.Getpid()), []byte(line), 0o644)
			}
		case "exec":
			err = syscall.Exec(argument, []string{argument}, []string{helperVariable + "=answer"})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, word, err)
			os.Exit(1)
		}
		fmt.Printf("%x\n", address)
	}
}

func mapFile(path string) (uintptr, error) {
	fd, flags, offset := -1, unix.MAP_PRIVATE|unix.MAP_ANON, uintptr(0)
	if path != "" {
		f, err := os.Open(path)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		fd, flags, offset = int(f.Fd()), unix.MAP_PRIVATE, testTextOffset
	}
	address, _, errno := unix.Syscall6(unix.SYS_MMAP, 0, testTextSize, unix.PROT_READ|unix.PROT_EXEC, uintptr(flags), uintptr(fd), offset)
	if errno != 0 {
		return 0, errno
	}
	return address, nil
}

type helper struct {
	t       *testing.T
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	pid     uint32
}

// startHelper runs the test binary, which lies at path.
func startHelper(t *testing.T, path string, attributes *syscall.SysProcAttr) *helper {
	t.Helper()
	h := &helper{t: t, command: exec.Command(path)}
	h.command.Env = append(os.Environ(), helperVariable+"=1")
	h.command.Stderr = os.Stderr
	h.command.SysProcAttr = attributes
	in, err := h.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := h.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.command.Start(); err != nil {
		t.Fatal(err)
	}
	h.in, h.out, h.pid = in, bufio.NewReader(out), uint32(h.command.Process.Pid)
	t.Cleanup(h.end)
	// Start returns when the kernel has closed what an exec closes, which is before the new program has its stack.
	h.ask("function")
	return h
}

// ask returns the address that the helper answers.
func (h *helper) ask(line string) uint64 {
	h.t.Helper()
	fmt.Fprintln(h.in, line)
	text, err := h.out.ReadString('\n')
	if err != nil {
		h.t.Fatalf("%s: %v", line, err)
	}
	address, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
	if err != nil {
		h.t.Fatal(err)
	}
	return address
}

// end ends the helper and waits until it is gone.
func (h *helper) end() {
	h.in.Close()
	h.command.Process.Kill()
	h.command.Wait()
}

// copyOfSelf puts the test binary where it can be deleted.
func copyOfSelf(t *testing.T) string {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/self"
	if err := os.WriteFile(path, self, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
