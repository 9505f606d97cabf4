package doctor

import (
	"fmt"
	"slices"
	"strings"

	"sonde/internal/kernel"
)

// Works says how much of a command works.
type Works string

const (
	Full Works = "full"
	Part Works = "part"
	No   Works = "no"
)

// Command is what the report says about one command. Reason and Remedy are one sentence each, without capital and full
// stop; both are empty when all of it works.
type Command struct {
	Command string `json:"command"`
	State   Works  `json:"state"`
	Reason  string `json:"reason"`
	Remedy  string `json:"remedy"`
}

// judge says what works of one row of the table, given what was found and the capabilities held.
func (c *command) judge(found []kernel.Finding, held kernel.Capabilities) Command {
	var lacking blames
	for _, n := range c.hard {
		if f, met := n.meet(found); !met {
			lacking.add(n.String(), f.Reason, f.Remedy)
		}
	}
	if len(lacking) > 0 {
		return Command{c.name, No, lacking.sentence("it needs ", ", but "), lacking.remedy()}
	}

	var lost blames
	for _, s := range c.soft {
		switch {
		case s.feature != "":
			any := need{s.feature}
			if s.or != "" {
				any = append(any, s.or)
			}
			if f, met := any.meet(found); !met {
				lost.add(s.lost, f.Reason, f.Remedy)
			}
		case !held.Allows(s.capability):
			lost.add(s.lost, s.capability.String()+" is missing", "run as root, or with "+s.capability.String())
		}
	}
	if n := countUntried(found); c.tries && n > 0 {
		reason := fmt.Sprintf("it could not try %d of %d features, for the reasons given there", n, len(found))
		return Command{c.name, Part, reason, "run it as root, outside of containers"}
	}
	if len(lost) > 0 {
		return Command{c.name, Part, lost.sentence("", ", because "), lost.remedy()}
	}
	return Command{Command: c.name, State: Full}
}

func countUntried(found []kernel.Finding) (n int) {
	for _, f := range found {
		if f.State == kernel.Untried {
			n++
		}
	}
	return n
}

// meet says whether the need is met, and if not, which finding tells why.
func (n need) meet(found []kernel.Finding) (why kernel.Finding, met bool) {
	why = kernel.Finding{Feature: n[0], Reason: "it was not tried"}
	for _, f := range found {
		if f.State == kernel.Present && slices.Contains(n, f.Feature) {
			return kernel.Finding{}, true
		}
		if f.Feature == n[0] {
			why = f
		}
	}
	return why, false
}

func (n need) String() string {
	words := make([]string, len(n))
	for i, f := range n {
		words[i] = string(f)
	}
	return strings.Join(words, " or ")
}

// blames are what is lost, gathered by the reason for it, so that one cause is said once.
type blames []blame

type blame struct {
	lost           []string
	reason, remedy string
}

func (b *blames) add(lost, reason, remedy string) {
	for i := range *b {
		if (*b)[i].reason == reason {
			(*b)[i].lost = append((*b)[i].lost, lost)
			return
		}
	}
	*b = append(*b, blame{[]string{lost}, reason, remedy})
}

// sentence says everything that is lost and why.
func (b blames) sentence(before, between string) string {
	parts := make([]string, len(b))
	for i, x := range b {
		parts[i] = before + enumerate(x.lost) + between + x.reason
	}
	return strings.Join(parts, "; ")
}

// remedy says each way out once.
func (b blames) remedy() string {
	var ways []string
	for _, x := range b {
		if x.remedy != "" && !slices.Contains(ways, x.remedy) {
			ways = append(ways, x.remedy)
		}
	}
	return strings.Join(ways, "; ")
}

// enumerate joins words for a sentence: "a, b and c".
func enumerate(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}
