package rule

import "strings"

// Change is what the word write means in a rule: all that changes a file, its name, or what is at its path. Who says that a
// file must not be written does not want another one renamed over it.
const Change = Write | Create | Delete | Rename | Link | Truncate | Metadata

// accessNames are the names of the bits in records, in the order of the bits.
var accessNames = [...]string{"read", "write", "create", "delete", "rename", "link", "truncate", "exec", "metadata"}

// accessWords are what rules say. Without one, a rule is about all.
var accessWords = []struct {
	word   string
	access Access
}{
	{"all", AllAccess},
	{"write", Change},
	{"read", Read},
	{"content", Write},
	{"create", Create},
	{"delete", Delete},
	{"rename", Rename},
	{"link", Link},
	{"truncate", Truncate},
	{"exec", Exec},
	{"metadata", Metadata},
}

// Names returns the name of each bit, as records have it: write is Write alone.
func (a Access) Names() []string {
	var names []string
	for i, name := range accessNames {
		if a&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String joins Names with commas.
func (a Access) String() string { return strings.Join(a.Names(), ",") }

// Words returns the words of a rule that add up to a: write is Change, content is Write alone.
func (a Access) Words() []string {
	var words []string
	for _, w := range accessWords {
		if w.access&a == w.access && a != 0 {
			words = append(words, w.word)
			a &^= w.access
		}
	}
	return words
}

// accessOf returns what a word of a rule means.
func accessOf(word string) (Access, bool) {
	for _, w := range accessWords {
		if w.word == word {
			return w.access, true
		}
	}
	return 0, false
}

func accessList() []string {
	words := make([]string, len(accessWords))
	for i, w := range accessWords {
		words[i] = w.word
	}
	return words
}

var actionNames = [...]string{Log: "log", Kill: "kill", Deny: "deny", DenyKill: "deny+kill", Allow: "allow"}

// String is the action's word in rules and records.
func (a Action) String() string {
	if a >= Log && int(a) < len(actionNames) {
		return actionNames[a]
	}
	return "none"
}

// Denies says whether the operation is made to fail.
func (a Action) Denies() bool { return a == Deny || a == DenyKill }

// Kills says whether the process is sent SIGKILL.
func (a Action) Kills() bool { return a == Kill || a == DenyKill }

func actionOf(word string) (Action, bool) {
	for a := Log; int(a) < len(actionNames); a++ {
		if actionNames[a] == word {
			return a, true
		}
	}
	return 0, false
}

// Errors that a denied operation may fail with.
const (
	EPERM  = 1
	ENOENT = 2
	EACCES = 13
)

var errnoNames = []struct {
	name string
	n    int
}{{"EACCES", EACCES}, {"EPERM", EPERM}, {"ENOENT", ENOENT}}

func errnoOf(name string) (int, bool) {
	for _, e := range errnoNames {
		if e.name == name {
			return e.n, true
		}
	}
	return 0, false
}

// ErrnoName is the symbol of a Rule's Errno, "" for none.
func ErrnoName(n int) string {
	for _, e := range errnoNames {
		if e.n == n {
			return e.name
		}
	}
	return ""
}
