package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a set. Those of what the kernel keeps for a rule are the programs' own.
const (
	maxRules    = 1 << 14
	maxRuleName = 64 // bytes
	maxWho      = 16 // of each list in a who
	maxExcept   = 4
	maxComm     = 15      // TASK_COMM_LEN without the NUL
	maxPID      = 1 << 22 // PID_MAX_LIMIT
	maxUID      = 1<<32 - 2
	maxUser     = 255
)

// parseUser reads a user as a number or, to be looked up later, a name.
func (w *Who) parseUser(word string) *fault {
	if word == "" {
		return &fault{"an empty user", "write a name or a number"}
	}
	if strings.Trim(word, "0123456789") == "" {
		n, err := strconv.ParseUint(word, 10, 32)
		if err != nil || n > maxUID {
			return &fault{fmt.Sprintf("%s is no user id", quote(word)), fmt.Sprintf("a user id is from 0 to %d", uint32(maxUID))}
		}
		w.UIDs = append(w.UIDs, uint32(n))
		return nil
	}
	if f := plainWord("a user", word, maxUser); f != nil {
		return f
	}
	w.Users = append(w.Users, word)
	return nil
}

// parseExe checks the path of an executable.
func (w *Who) parseExe(name, dir string) *fault {
	if !strings.Contains(name, "/") {
		return &fault{quote(name) + ": an executable is told by its path", "write it from /; `command -v` finds it"}
	}
	p, f := patternOf(File, true, name, dir)
	if f != nil {
		return f
	}
	if HasMeta(p.Path) && strings.ContainsAny(p.Path, "*?") {
		return &fault{quote(name) + ": an executable is one file, no glob", "write a path for each"}
	}
	w.Exe = append(w.Exe, p.Path)
	return nil
}

func (w *Who) parseComm(name string) *fault {
	if len(name) > maxComm {
		return &fault{fmt.Sprintf("%s: a command name of %d bytes", quote(name), len(name)), fmt.Sprintf("the kernel keeps %d; write %s", maxComm, quote(name[:maxComm]))}
	}
	if f := plainWord("a command name", name, maxComm); f != nil {
		return f
	}
	w.Comm = append(w.Comm, name)
	return nil
}

// plainWord refuses what cannot be a name of what.
func plainWord(what, s string, most int) *fault {
	switch {
	case s == "":
		return &fault{"an empty text for " + what, "write its name, or leave it out"}
	case len(s) > most:
		return &fault{fmt.Sprintf("%s of %d bytes", what, len(s)), fmt.Sprintf("at most %d", most)}
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return &fault{fmt.Sprintf("%s: %s with a control character in it", quote(s), what), "write it without"}
	}
	return nil
}

// full returns what is too many in a who.
func (w *Who) full() *fault {
	for _, l := range []struct {
		what string
		n    int
	}{
		{"executables", len(w.Exe)}, {"users", len(w.UIDs) + len(w.Users)}, {"process ids", len(w.PIDs)},
		{"command names", len(w.Comm)}, {"cgroups", len(w.Cgroups)},
	} {
		if l.n > maxWho {
			return &fault{fmt.Sprintf("%d %s in one description of processes", l.n, l.what), fmt.Sprintf("at most %d; make two rules of it", maxWho)}
		}
	}
	return nil
}

// IsZero says whether a Who is everybody.
func (w *Who) IsZero() bool {
	return len(w.Exe) == 0 && len(w.UIDs) == 0 && len(w.Users) == 0 && len(w.PIDs) == 0 && len(w.Comm) == 0 &&
		len(w.Cgroups) == 0 && w.Container == "" && !w.Tree
}

// finish gives rules without a name one by their place in the set, and drops what a rule says twice.
func (s *Set) finish() {
	taken := make(map[string]bool, len(s.Rules))
	for i := range s.Rules {
		taken[s.Rules[i].Name] = true
	}
	for i := range s.Rules {
		r := &s.Rules[i]
		r.What = distinct(r.What)
		if r.Name != "" {
			continue
		}
		r.Name = fmt.Sprintf("rule-%d", i+1)
		for n := 2; taken[r.Name]; n++ {
			r.Name = fmt.Sprintf("rule-%d-%d", i+1, n)
		}
		taken[r.Name] = true
	}
}

// distinct keeps the first of patterns that differ in their place only.
func distinct(what []Pattern) []Pattern {
	seen := make(map[Pattern]bool, len(what))
	return slices.DeleteFunc(what, func(p Pattern) bool {
		p.Pos = Pos{}
		again := seen[p]
		seen[p] = true
		return again
	})
}
