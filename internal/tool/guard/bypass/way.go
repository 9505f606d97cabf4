package bypass

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
)

// Group says what kind of way it is, and how much a guard can be asked to do about it.
type Group uint8

const (
	Opens   Group = iota + 1 // the ways to open a file under another name, or by another call; a guard must cover them
	More                     // further ways to open or run it
	Changes                  // ways to change or remove it without opening it
	Creates                  // ways to make something of its name where there was nothing
	Held                     // ways through a descriptor or mapping from before the rule
)

var groupNames = map[Group]string{
	Opens: "open", More: "open further", Changes: "change", Creates: "create", Held: "opened before the rule",
}

func (g Group) String() string { return groupNames[g] }

// Shape is what kind of rule the decoy is guarded by.
type Shape uint8

const (
	File   Shape = iota // the decoy's path, when the decoy is there
	Tree                // a directory two levels above it
	Base                // its last name, anywhere
	Create              // its path, armed when nothing was there
)

// Shapes are all of them.
var Shapes = []Shape{File, Tree, Base, Create}

var shapeNames = []string{"file", "tree", "name", "create"}

func (s Shape) String() string { return shapeNames[s] }

// Way is one way to reach a file.
type Way struct {
	Name  string // of a few words, unique
	Does  string // how, in one clause
	Group Group
	// Access names what is done to the file, in the words of rules: "read", "truncate". A rule that denies only this
	// must cover the way.
	Access string
	// NotFor says, for shapes of rules that do not mean the file when it is reached so, why.
	NotFor map[Shape]string

	// A try is: stage (by the caller's process, which no rule means), prepare (by the child), then the rule is armed,
	// then after (by the caller's process) and try (by the child). For the shape Create the rule comes first.
	stage   func(*scene) error
	prepare func(*child) error
	after   func(*scene) error
	try     func(*child) error
}

// Ways are all of them, in the order in which they are shown.
func Ways() []*Way { return all }

var all = slices.Concat(opens, moreOpens, changes, creates, held)

// Find returns the way of that name, nil if there is none.
func Find(name string) *Way {
	if i := slices.IndexFunc(all, func(w *Way) bool { return w.Name == name }); i >= 0 {
		return all[i]
	}
	return nil
}

// Outcome is what a try led to.
type Outcome uint8

const (
	Reached    Outcome = iota + 1 // the way led to the file
	Refused                       // a system call said no
	Killed                        // the child was killed by SIGKILL
	Impossible                    // the way does not exist here: the kernel, the file system or a privilege is missing
	Outside                       // a rule of this shape does not mean the file when it is reached so
)

var outcomeNames = map[Outcome]string{
	Reached: "reached", Refused: "refused", Killed: "killed", Impossible: "not possible", Outside: "outside the rule",
}

func (o Outcome) String() string { return outcomeNames[o] }

// Result is what one try has shown.
type Result struct {
	Way     *Way
	Shape   Shape
	Place   string // of a Survey: the kind of the file system
	Outcome Outcome
	Errno   syscall.Errno // of Refused
	Why     string        // of Impossible and Outside
	Effect  string        // of Reached: by what it is known
	Changed []string      // what is not as it was: "contents", "mode", "name" ...; nothing: the file stayed intact
	// Tries and Hits count, for a way that is tried again and again, how often it was and how often it led to the file.
	Tries, Hits int
}

// What is known of a file that was reached.
const (
	WasRead    = "its contents were read"
	WasRun     = "it was run"
	WasChanged = "it was changed"
	LetThrough = "the call succeeded"
)

// Intact says that the file is as it was.
func (r Result) Intact() bool { return len(r.Changed) == 0 }

func (r Result) String() string {
	s := r.Outcome.String()
	switch {
	case r.Outcome == Refused:
		s += fmt.Sprintf(" (%s)", errnoName(r.Errno))
	case r.Why != "":
		s += ": " + r.Why
	case r.Effect != "":
		s += ": " + r.Effect
	}
	if r.Tries > 0 {
		s += fmt.Sprintf(", %d of %d tries", r.Hits, r.Tries)
	}
	if !r.Intact() {
		s += fmt.Sprintf("; changed: %v", r.Changed)
	}
	return s
}

// notHere is why a way does not exist on this machine.
type notHere struct{ why string }

func (e *notHere) Error() string { return e.why }

func impossible(format string, args ...any) error { return &notHere{fmt.Sprintf(format, args...)} }

// lacking says whether an error means that the kernel or the file system does not know the call.
func lacking(err error) bool {
	return errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENODEV)
}
