package cli

import (
	"errors"
	"fmt"
	"strings"

	"sonde/internal/attach"
	"sonde/internal/compile"
	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
	"sonde/internal/target"
)

// beforeLoad is for tests: it may spoil a program before the kernel gets it.
var beforeLoad func(*compile.Program)

// loadFault is that a script could not be loaded or attached. bpftrace has a status of its own for that.
type loadFault struct{ err error }

func (e *loadFault) Error() string { return e.err.Error() }
func (e *loadFault) Unwrap() error { return e.err }

// Exit statuses of bpftrace that are not ours.
const (
	classicFailure = 1   // whatever is wrong before the script is loaded
	classicLoad    = 255 // what the kernel does not load or attach
)

// classicStatus is the status of bpftrace where we have another.
func classicStatus(status int, err error) int {
	var use *usageError
	var command *target.CommandError
	var load *loadFault
	switch {
	case errors.As(err, &use), errors.As(err, &command):
		return classicFailure
	case errors.As(err, &load):
		return classicLoad
	}
	return status
}

// giveUp are beginnings of what the verifier says when a program is more than it wants to look at.
var giveUp = []string{"BPF program is too large", "The sequence of", "program is too large"}

// refused explains that the verifier did not take a program: the line of the script, and what the kernel says of it.
// Most often that is a fault of the compiler.
func (s *script) refused(err error) error {
	var r *attach.Refused
	if !errors.As(err, &r) || kernel.Lockdown() == kernel.LockdownConfidentiality {
		return &loadFault{err}
	}
	if s.flags.verbose > 0 {
		for _, l := range r.Log {
			fmt.Fprintln(s.io.err, "verifier:", oneLine(l))
		}
	}
	d := syntax.Diagnostic{Span: syntax.Span{Start: syntax.NoPos, End: syntax.NoPos}}
	if at := s.program.Position(r.Program, r.Insn); at >= 0 {
		d.Span = syntax.Span{Start: at, End: endOf(s.program.Source, at)}
	}
	for _, begin := range giveUp {
		if strings.HasPrefix(r.Reason, begin) {
			d.Message = "the kernel's verifier gives up on this script: " + r.Reason
			d.Hint = "make it do less in one probe, or in fewer turns of a loop"
		}
	}
	bug := d.Message == ""
	if bug {
		d.Message = "the kernel's verifier refuses the code that sonde made of this: " + r.Reason
	}
	fmt.Fprint(s.io.err, s.program.Source.Render(d, s.colour()))
	if bug {
		release, _ := kernel.Release()
		where := ""
		if n := s.verifierNumber(r); n >= 0 {
			where = fmt.Sprintf(", instruction %d", n)
		}
		fmt.Fprintf(s.io.err, "This is a bug of sonde, not of the script. Please report it with the script, with what\n"+
			"`sonde run -d asm` and `sonde run -v` say of it, and with this line:\n"+
			"sonde %s, Linux %s %s, program %s%s\n", version, release, s.kernel.Machine(), r.Program, where)
	}
	return &loadFault{&statusError{exitFailure}}
}

// verifierNumber is an instruction's number as the verifier and -d asm count them: a load of 64 bits is two.
func (s *script) verifierNumber(r *attach.Refused) int {
	p := s.program.Spec.Collection.Programs[r.Program]
	if p == nil || r.Insn < 0 {
		return -1
	}
	for it := p.Instructions.Iterate(); it.Next(); {
		if it.Index == r.Insn {
			return int(it.Offset)
		}
	}
	return -1
}

// endOf is where what begins at a place ends, as far as one can see: with the word, or behind one character.
func endOf(src *syntax.Source, at syntax.Pos) syntax.Pos {
	end := at
	for int(end) < len(src.Text) && strings.IndexByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@$", src.Text[end]) >= 0 {
		end++
	}
	return max(end, at+1)
}
