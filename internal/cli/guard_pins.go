package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"sonde/internal/attach"
	"sonde/internal/target"
	"sonde/internal/tool/guard"
)

// pinRoot is the directory in the bpf file system that holds the persistent guards, each in a directory of its own.
const pinRoot = "sonde_guard"

// pinState is the name of what describes a persistent guard, beside what is pinned of it.
const pinState = "state"

// guardState describes a persistent guard to whoever looks after it later, perhaps another version of sonde.
type guardState struct {
	Version   int                     `json:"version"`
	Since     time.Time               `json:"since"`
	By        string                  `json:"by"` // who armed it
	PID       int                     `json:"pid"`
	Mechanism string                  `json:"mechanism"`
	Source    string                  `json:"source"` // the command line, or the rule file
	Until     *time.Time              `json:"until"`  // of --for; nil for none
	Rules     []guardStateRule        `json:"rules"`
	Words     map[string]attach.Place `json:"words"` // where the variables lie that are read and written later
}

type guardStateRule struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

const stateVersion = 1

// mostState is what fits into the value of an array map.
const mostState = 4<<20 - 4096

// pinDirs are the directory of a guard that is being made persistent and the one that it is in.
type pinDirs struct {
	root, own *attach.PinDir
	name      string
}

// makePins makes the directory of a persistent guard. That there is none yet is what makes its name its own.
func makePins(name string) (*pinDirs, error) {
	root, err := attach.OpenPinRoot(pinRoot, true)
	if err != nil {
		return nil, fmt.Errorf("--persist: %w", err)
	}
	own, err := root.Make(name)
	if errors.Is(err, fs.ErrNotExist) { // the last guard was just stopped, and the directory of all with it
		root.Close()
		if root, err = attach.OpenPinRoot(pinRoot, true); err != nil {
			return nil, fmt.Errorf("--persist: %w", err)
		}
		own, err = root.Make(name)
	}
	if errors.Is(err, fs.ErrExist) {
		err = errors.Join(takenName(root, name), root.Close())
		return nil, err
	}
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("--persist: %w", err)
	}
	return &pinDirs{root, own, name}, nil
}

// takenName says whose name it is.
func takenName(root *attach.PinDir, name string) error {
	since := ""
	if own, err := root.Open(name); err == nil {
		if st, err := readState(own); err == nil {
			since = fmt.Sprintf(" (since %s, by %s)", st.Since.Format(time.DateTime), st.By)
		}
		own.Close()
	}
	return fmt.Errorf("--persist: there is a guard %q already%s; end it with sonde guard stop %s, or give this one another name: --persist=NAME",
		name, since, name)
}

func (p *pinDirs) close() {
	p.own.Close()
	p.root.Close()
}

// remove disarms: with the links the programs go.
func (p *pinDirs) remove() error {
	err := p.root.RemoveAll(p.name)
	p.root.RemoveEmpty()
	if errors.Is(err, fs.ErrNotExist) { // sonde guard stop was faster
		return nil
	}
	return err
}

func (p *pinDirs) write(st *guardState) error {
	data, err := json.Marshal(st)
	if err == nil && len(data) > mostState {
		return fmt.Errorf("--persist: the description of %d rules takes %d bytes, and %d are possible", len(st.Rules), len(data), mostState)
	}
	if err != nil {
		return err
	}
	return p.own.PinBytes(pinState, data)
}

func readState(own *attach.PinDir) (*guardState, error) {
	data, err := own.Bytes(pinState)
	if err != nil {
		return nil, err
	}
	st := new(guardState)
	if err := json.Unmarshal(bytes.TrimRight(data, "\x00"), st); err != nil {
		return nil, fmt.Errorf("%s: its description cannot be read: %w", own.Path(), err)
	}
	if st.Version != stateVersion {
		return nil, fmt.Errorf("%s: made by another version of sonde (%d, and this is %d)", own.Path(), st.Version, stateVersion)
	}
	return st, nil
}

// armedBy names who runs this sonde: user, and whose it was before su or sudo.
func armedBy() string {
	who := "uid " + strconv.Itoa(os.Getuid())
	if by := os.Getenv("SUDO_USER"); by != "" {
		who += " (sudo by " + by + ")"
	}
	return who + fmt.Sprintf(", process %d", os.Getpid())
}

// watched says whether the sonde that armed a guard still lives. Its number may be another process's by now, which is
// told by its name.
func (st *guardState) watched() bool {
	if !target.Alive(uint32(st.PID)) {
		return false
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", st.PID))
	return err == nil && string(bytes.TrimSpace(comm)) == "sonde"
}

// pin makes the guard outlive sonde.
func (g *guardRun) pin() error {
	s := g.run.session
	if err := s.Pin(g.pins.own, guard.Maps(g.mechanism)...); err != nil {
		return fmt.Errorf("--persist: %w", err)
	}
	if err := g.pins.write(g.state()); err != nil {
		return err
	}
	g.pinned = true
	return nil
}

// state describes what is in force.
func (g *guardRun) state() *guardState {
	st := &guardState{
		Version: stateVersion, Since: g.since, By: armedBy(), PID: os.Getpid(), Mechanism: string(g.mechanism),
		Source: g.source.describe(), Words: make(map[string]attach.Place),
	}
	if d := g.flags.deadlineTime; d > 0 {
		until := g.since.Add(d)
		st.Until = &until
	}
	places := g.run.session.Places()
	for _, name := range []string{guard.ModeWord, guard.GenerationWord, guard.DeadlineWord, guard.RulesHalf} {
		st.Words[name] = places[name]
	}
	for i := range g.set.Rules {
		r := &g.set.Rules[i]
		st.Rules = append(st.Rules, guardStateRule{r.Name, ruleText(r)})
	}
	return st
}
