package attach

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"

	"github.com/cilium/ebpf/asm"

	"sonde/internal/kernel"
)

// Refused is the error of a program that the kernel's verifier did not take.
type Refused struct {
	Program string
	// Insn is the instruction that it stumbled at, as an index into the program's Instructions; -1 where it named none.
	Insn int
	// Log are the last lines of what the verifier said.
	Log []string
	// Reason is the one line of it that tells.
	Reason string

	// Of programs that were compiled elsewhere: their section, the line of their source as far as the object has it, and the
	// relocation that this kernel cannot fulfil, if that is why.
	Section    string
	File       string
	Line       int
	Text       string
	Relocation string

	err error
}

// keptLogLines is enough for the last states that the verifier shows.
const keptLogLines = 40

func newRefused(program string, insns asm.Instructions, log []string, err error) *Refused {
	r := &Refused{Program: program, Insn: -1, Reason: tellingLine(log), err: err}
	if offset, ok := refusedAt(log); ok {
		r.Insn = indexAt(insns, offset)
	}
	r.Log = log[max(0, len(log)-keptLogLines):]
	return r
}

// Error returns one line.
func (r *Refused) Error() string {
	if kernel.Lockdown() == kernel.LockdownConfidentiality {
		// There the helpers that read the kernel's memory do not exist, as the verifier sees it.
		return fmt.Sprintf("program %s: %v", r.Program, lockedDown(fmt.Errorf("%s", r.Reason)))
	}
	at := ""
	if r.Insn >= 0 {
		at = fmt.Sprintf(" at instruction %d", r.Insn)
	}
	return fmt.Sprintf("program %s: the kernel's verifier refused it%s: %s (%v)", r.Program, at, r.Reason, r.err)
}

// Unwrap returns the error number of bpf(2).
func (r *Refused) Unwrap() error { return r.err }

var (
	// "12: (85) call bpf_probe_read_kernel#113": an instruction that was looked at, with its number.
	loggedInsn = regexp.MustCompile(`^(\d+): \([0-9a-f]{2}\) `)
	// "unreachable insn 5", "back-edge from insn 7 to 3", "invalid func unknown#9 at insn 2"
	namedInsn = regexp.MustCompile(`\binsn (\d+)`)
)

// refusedAt finds in a log the instruction, by the kernel's count, that was looked at last.
func refusedAt(log []string) (offset int, ok bool) {
	if m := namedInsn.FindStringSubmatch(tellingLine(log)); m != nil {
		offset, err := strconv.Atoi(m[1])
		return offset, err == nil
	}
	for i := len(log) - 1; i >= 0; i-- {
		if m := loggedInsn.FindStringSubmatch(log[i]); m != nil {
			offset, err := strconv.Atoi(m[1])
			return offset, err == nil
		}
	}
	return 0, false
}

// indexAt turns the kernel's count, in which a load of 64 bits counts for two, into an index. -1: there is none.
func indexAt(insns asm.Instructions, offset int) int {
	for it := insns.Iterate(); it.Next(); {
		if width := int(it.Ins.Width()); offset >= int(it.Offset) && offset < int(it.Offset)+width {
			return it.Index
		}
	}
	return -1
}

// logLines cuts a log into lines, without empty ones.
func logLines(log []byte) (lines []string) {
	for line := range bytes.Lines(log) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, string(line))
		}
	}
	return lines
}
