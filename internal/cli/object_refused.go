package cli

import (
	"errors"
	"fmt"
	"strings"

	"sonde/internal/attach"
	"sonde/internal/kernel"
)

// refused explains that the verifier did not take a program of the user's: where it is in the source, and what the kernel
// says of it. With -v comes all that it says.
func (r *objectRun) refused(err error) error {
	var m *attach.MapRefused
	if errors.As(err, &m) {
		return fmt.Errorf("%s: map %s (section %s): %s", r.object.Name, m.Map, r.object.MapSection(m.Map), m.Reason)
	}
	var no *attach.Refused
	if !errors.As(err, &no) || no.Section == "" || kernel.Lockdown() == kernel.LockdownConfidentiality {
		return err
	}
	if r.flags.verbose > 0 {
		for _, l := range no.Log {
			fmt.Fprintln(r.io.err, "verifier:", oneLine(l))
		}
	}
	where := fmt.Sprintf("program %s (section %s)", no.Program, no.Section)
	at := ""
	if no.File != "" {
		at = fmt.Sprintf(" at %s:%d", no.File, no.Line)
		if no.Text != "" {
			at += fmt.Sprintf(", %s", strings.TrimSuffix(no.Text, ";"))
		}
	}
	hint := "; -v shows all that it says"
	if r.flags.verbose > 0 {
		hint = ""
	}
	switch {
	case no.Relocation != "":
		return fmt.Errorf("%s: %s: this kernel does not have what it asks for%s: %s%s", r.object.Name, where, at, r.object.Relocated(no.Relocation), hint)
	case strings.Contains(no.Reason, "GPL"):
		return fmt.Errorf("%s: %s: its licence is %s, and it calls what only programs under the GPL may (%s)%s; add char LICENSE[] SEC(\"license\") = \"GPL\"",
			r.object.Name, where, r.object.Licence(no.Program), no.Reason, at)
	}
	return fmt.Errorf("%s: %s: the kernel's verifier refuses it%s: %s%s", r.object.Name, where, at, no.Reason, hint)
}
