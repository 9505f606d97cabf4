package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/tool/guard"
)

func guardStatusCommand(io streams) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show the persistent guards, their rules and what these have done",
		Args:  oneName,
		RunE: func(c *cobra.Command, args []string) error {
			if err := emptyValues(c.Flags()); err != nil {
				return err
			}
			if format != "text" && format != "json" {
				return usage("-f %q: the formats are text and json", format)
			}
			all, err := persistentGuards(args)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeStatusJSON(io.out, all)
			}
			return writeStatus(io.out, all)
		},
	}
	c.Flags().StringVarP(&format, "format", "f", "text", "`FORMAT`: text or json")
	return c
}

func guardStopCommand(io streams) *cobra.Command {
	var every bool
	c := &cobra.Command{
		Use:   "stop [NAME]",
		Short: "Disarm a persistent guard and remove it",
		Args:  oneName,
		RunE: func(c *cobra.Command, args []string) error {
			if every && len(args) > 0 {
				return usage("stop --all and %q; give one of the two", args[0])
			}
			all, err := persistentGuards(args)
			if err != nil {
				return err
			}
			switch {
			case len(all) == 0 && every:
				return nil
			case len(all) == 0:
				return errors.New("no persistent guard is in force")
			case len(all) > 1 && !every:
				return usage("%d guards are persistent (%s); name one, or give --all", len(all), strings.Join(namesOf(all), ", "))
			}
			root, err := attach.OpenPinRoot(pinRoot, false)
			if err != nil {
				return err
			}
			defer root.Close()
			var errs []error
			for _, g := range all {
				err := stopGuard(root, g)
				if err == nil {
					say(io.err, "%s: %s is disarmed", c.Root().Name(), g.Name)
				}
				errs = append(errs, err)
			}
			root.RemoveEmpty()
			return errors.Join(errs...)
		},
	}
	c.Flags().BoolVar(&every, "all", false, "stop all of them")
	return c
}

func oneName(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage("unexpected %q", args[1])
	}
	if len(args) == 1 && !validGuardName(args[0]) {
		return usage("%q is no name of a guard", args[0])
	}
	return nil
}

// stopGuard disarms at once, also where the sonde that armed it still holds its programs, and removes what is pinned.
func stopGuard(root *attach.PinDir, g *persistent) error {
	own, err := root.Open(g.Name)
	if err != nil {
		return err
	}
	defer own.Close()
	if at, ok := g.words[guard.ModeWord]; ok {
		err = own.SetWord(at, guard.ModeOff)
	}
	return errors.Join(err, root.RemoveAll(g.Name))
}

// persistent is what status tells of a guard.
type persistent struct {
	Type      string           `json:"type"`
	Name      string           `json:"name"`
	State     string           `json:"state"` // armed, expired, disarmed or unreadable
	Since     *time.Time       `json:"since"`
	By        string           `json:"by"`
	PID       int              `json:"pid"`
	Watched   bool             `json:"watched"` // its sonde still shows its records
	Mechanism string           `json:"mechanism"`
	Source    string           `json:"source"`
	Until     *time.Time       `json:"until"`
	LeftNS    *int64           `json:"left_ns"`
	Rules     []persistentRule `json:"rules"`
	Fault     string           `json:"fault,omitempty"`

	words map[string]attach.Place
}

type persistentRule struct {
	Name        string `json:"rule"`
	Text        string `json:"text"`
	Matches     uint64 `json:"matches"`
	Denied      uint64 `json:"denied"`
	Killed      uint64 `json:"killed"`
	Logged      uint64 `json:"logged"`
	RateLimited uint64 `json:"rate_limited"`
	DryRun      uint64 `json:"dry_run"`
	Allowed     uint64 `json:"allowed"`
	Unsent      uint64 `json:"unsent"`

	counts guard.Counts
}

func ruleStatus(name, text string, c guard.Counts) persistentRule {
	return persistentRule{name, text, c.Matches, c.Denied, c.Killed, c.Logged, c.Limited, c.Dry, c.Allowed, c.Unsent, c}
}

// persistentGuards finds the guard of that name, or all of them. It is an error that one is not there.
func persistentGuards(names []string) ([]*persistent, error) {
	root, err := attach.OpenPinRoot(pinRoot, false)
	if errors.Is(err, attach.ErrNoPins) {
		if len(names) > 0 {
			return nil, fmt.Errorf("no persistent guard is called %q; there is none at all", names[0])
		}
		return nil, nil
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("%w; run it as root", err)
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	there, err := root.Names()
	if err != nil {
		return nil, err
	}
	var found []*persistent
	for _, name := range there {
		if !validGuardName(name) || len(names) > 0 && names[0] != name {
			continue
		}
		found = append(found, lookAt(root, name))
	}
	if len(names) > 0 && len(found) == 0 {
		return nil, fmt.Errorf("no persistent guard is called %q; see sonde guard status", names[0])
	}
	return found, nil
}

// lookAt reads what is known of a guard. What cannot be read is told, so that it can be stopped all the same.
func lookAt(root *attach.PinDir, name string) *persistent {
	p := &persistent{Type: "guard_status", Name: name, State: "unreadable", Rules: []persistentRule{}}
	own, err := root.Open(name)
	if err != nil {
		p.Fault = err.Error()
		return p
	}
	defer own.Close()
	st, err := readState(own)
	if err != nil {
		p.Fault = err.Error()
		return p
	}
	p.Since, p.By, p.PID, p.Watched = &st.Since, st.By, st.PID, st.watched()
	p.Mechanism, p.Source, p.Until, p.words = st.Mechanism, st.Source, st.Until, st.Words
	if err := p.read(own, st); err != nil {
		p.Fault = err.Error()
	}
	return p
}

// read reads what the programs keep.
func (p *persistent) read(own *attach.PinDir, st *guardState) error {
	word := func(name string) (uint64, error) { return own.Word(st.Words[name]) }
	mode, err := word(guard.ModeWord)
	if err != nil {
		return err
	}
	deadline, err := word(guard.DeadlineWord)
	if err != nil {
		return err
	}
	p.State = "armed"
	if mode == guard.ModeOff {
		p.State = "disarmed"
	}
	if deadline != 0 {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
			return err
		}
		left := int64(deadline) - now.Nano()
		if left <= 0 {
			left, p.State = 0, "expired"
		}
		p.LeftNS = &left
	}
	generation, err := word(guard.GenerationWord)
	if err != nil {
		return err
	}
	half, err := word(guard.RulesHalf)
	if err != nil {
		return err
	}
	m, err := own.Map(guard.CountsMap)
	if err != nil {
		return err
	}
	defer m.Close()
	for i, r := range st.Rules {
		counts, err := guard.ReadCounts(func(key uint32, into any) error { return m.Lookup(key, into) }, generation, half, i)
		if err != nil {
			return fmt.Errorf("%s: the counters of rule %q: %w", own.Path(), r.Name, err)
		}
		p.Rules = append(p.Rules, ruleStatus(r.Name, r.Text, counts))
	}
	return nil
}

func namesOf(all []*persistent) (names []string) {
	for _, g := range all {
		names = append(names, g.Name)
	}
	return names
}

func writeStatusJSON(w io.Writer, all []*persistent) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, g := range all {
		if err := enc.Encode(g); err != nil {
			return err
		}
	}
	return nil
}

// mostQuietRules is of how many rules those are listed too that have matched nothing.
const mostQuietRules = 20

func writeStatus(out io.Writer, all []*persistent) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(out, "no persistent guard is in force")
		return err
	}
	w := new(bytes.Buffer)
	for i, g := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s: %s\n", g.Name, oneLine(g.headline()))
		if g.Fault != "" {
			fmt.Fprintf(w, "  %s\n", oneLine(g.Fault))
		}
		quiet := 0
		for _, r := range g.Rules {
			if r.Matches == 0 && len(g.Rules) > mostQuietRules {
				quiet++
				continue
			}
			fmt.Fprintf(w, "  %s: %s: %s\n", oneLine(r.Name), oneLine(r.Text), r.counts)
		}
		if quiet > 0 {
			fmt.Fprintf(w, "  and %d rules that matched nothing\n", quiet)
		}
	}
	_, err := w.WriteTo(out)
	return err
}

// headline says in a line how it stands with a guard.
func (p *persistent) headline() string {
	if p.State == "unreadable" {
		return "cannot be read; sonde guard stop " + p.Name + " removes it"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s by %s since %s", p.State, p.Mechanism, p.Since.Local().Format(time.DateTime))
	if p.LeftNS != nil && *p.LeftNS > 0 {
		fmt.Fprintf(&b, ", for %s more", time.Duration(*p.LeftNS).Round(time.Second))
	}
	fmt.Fprintf(&b, "; %s (%s)", p.Source, p.By)
	if p.Watched {
		b.WriteString("; its records are being shown")
	}
	return b.String()
}
