package guard

import (
	"encoding/binary"
	"fmt"

	"sonde/internal/fileevent"
	"sonde/internal/tool/guard/rule"
)

// guard.h
const (
	recordTreeEnded = 0
	recordGuard     = 1
)

// Where the members of struct guard_record lie behind struct file_event.
const (
	atRule       = 0
	atGeneration = 4
	atAccess     = 8
	atAction     = 10
	atOutcome    = 11
	atMechanism  = 12
	atMatch      = 13
	atError      = 14

	ownSize = 16
)

// Match says by what a rule was found.
type Match uint8

// As guard.h has them.
const (
	ByObject Match = iota + 1
	ByEntry
	ByName
	ByGlob
	ByTree
	ByDepth  // it lies deeper than the programs climb, and counts as below every tree
	ByLearnt // another name of a file that a rule was about when it was last seen
)

var matchNames = [...]string{
	ByObject: "object", ByEntry: "entry", ByName: "name", ByGlob: "glob", ByTree: "tree", ByDepth: "depth", ByLearnt: "learnt",
}

// String is the match as records show it; empty for none.
func (m Match) String() string {
	if int(m) < len(matchNames) {
		return matchNames[m]
	}
	return ""
}

// Event is one decision.
type Event struct {
	fileevent.Event
	Rule       uint32 // its index
	Generation uint32 // of which rules
	Access     rule.Access
	Action     rule.Action
	Outcome    Outcome
	Mechanism  Mechanism
	Match      Match
}

// Decode reads the body of a record. The Event owns what it keeps.
func (e *Event) Decode(body []byte) error {
	own, err := e.Event.Decode(body, ownSize)
	if err != nil {
		return err
	}
	le := binary.NativeEndian
	e.Rule = le.Uint32(own[atRule:])
	e.Generation = le.Uint32(own[atGeneration:])
	e.Access = rule.Access(le.Uint16(own[atAccess:]))
	e.Action = rule.Action(own[atAction])
	e.Outcome = Outcome(own[atOutcome])
	e.Mechanism = mechanismOf(own[atMechanism])
	e.Match = Match(own[atMatch])
	if e.Outcome.String() == "" || e.Mechanism == "" || e.Match.String() == "" || e.Action < rule.Log || e.Action > rule.Allow {
		return fmt.Errorf("guard record: outcome %d, mechanism %d, match %d, action %d", own[atOutcome], own[atMechanism], own[atMatch], own[atAction])
	}
	return nil
}
