package cli

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"sonde/internal/print"
	"sonde/internal/profile"
	bt "sonde/internal/script"
)

// profileFlags say where stacks with values go.
type profileFlags struct{ flame, folded, pprof string }

func (x *profileFlags) add(f *pflag.FlagSet) {
	f.StringVar(&x.flame, "flame", "", "at the end, write the maps that have stacks as keys as a flame graph: `FILE`.svg")
	f.StringVar(&x.folded, "folded", "", "the same as lines of text, a stack each, to this `FILE` (-: standard output)")
	f.StringVar(&x.pprof, "pprof", "", "the same for go tool pprof, to this `FILE`.pb.gz")
}

func (x *profileFlags) any() bool { return x.flame != "" || x.folded != "" || x.pprof != "" }

// flag is the first that is given.
func (x *profileFlags) flag() string {
	switch {
	case x.flame != "":
		return "--flame"
	case x.folded != "":
		return "--folded"
	}
	return "--pprof"
}

// profileFile is a form of some maps, and where it goes.
type profileFile struct {
	maps  []string
	write func(io.Writer, *profile.Profile) error
	to    string
	out   *print.Output // nil: where the script's output goes
}

// openProfiles opens the files before anything is traced. A picture and lines are of one map each; what pprof reads holds several.
func (s *script) openProfiles() error {
	x := &s.flags.profiles
	if !x.any() {
		return nil
	}
	stacked := bt.Stacked(s.program)
	if len(stacked) == 0 {
		return usage("%s: no map of the script has a stack in its key and numbers as values, as in @[ustack] = count()", x.flag())
	}
	add := func(to string, write func(io.Writer, *profile.Profile) error, maps ...string) {
		s.profiles = append(s.profiles, &profileFile{maps: maps, write: write, to: to})
	}
	for _, name := range stacked {
		if x.flame != "" {
			add(fileOfMap(x.flame, name, len(stacked)), profile.WriteFlame, name)
		}
		if x.folded != "" {
			add(fileOfMap(x.folded, name, len(stacked)), profile.WriteFolded, name)
		}
	}
	if x.pprof != "" {
		add(x.pprof, profile.WritePprof, stacked...)
	}
	for _, f := range s.profiles {
		if f.to == "-" || s.flags.dryRun {
			continue
		}
		var err error
		if f.out, err = print.OpenOutput(f.to); err != nil {
			return err
		}
	}
	return nil
}

// fileOfMap puts the map's name before the ending where several maps need a file each: out.svg, out.bytes.svg.
func fileOfMap(path, name string, maps int) string {
	name = strings.TrimPrefix(name, "@")
	if maps == 1 || name == "" || path == "-" {
		return path
	}
	ending := filepath.Ext(path)
	return strings.TrimSuffix(path, ending) + "." + name + ending
}

func (s *script) closeProfiles() {
	for _, f := range s.profiles {
		if f.out != nil {
			f.out.Close()
		}
	}
}

// writeProfiles writes what the maps hold at the end of the run.
func (s *script) writeProfiles() error {
	if len(s.profiles) == 0 {
		return nil
	}
	lost := s.tellLost(true)
	stacks := &scriptStacks{s.symbols}
	var failed []error
	for _, f := range s.profiles {
		p, err := s.runner.Profile(f.maps, stacks)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		p.Time, p.Duration = s.began.UnixNano(), int64(s.ended.Sub(s.began))
		p.Notes = s.profileNotes()
		if f.out == nil {
			err = f.write(s.out, p)
		} else {
			err = errors.Join(f.write(f.out, p), f.out.Close())
		}
		if err != nil && !errors.Is(err, print.ErrClosedPipe) {
			failed = append(failed, fmt.Errorf("writing %s: %w", f.to, cause(err)))
		}
	}
	return errors.Join(append(failed, lost)...)
}

// maxUnusedTold is of how many files it is told that their debug information was too much.
const maxUnusedTold = 5

// profileNotes are what is missing in the maps, or in the names.
func (s *script) profileNotes() (notes []string) {
	if n := s.runner.Full(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d values were lost: a map was full", n))
	}
	if s.lost > 0 {
		notes = append(notes, fmt.Sprintf("%d records were lost: processes that ended soon may have no names", s.lost))
	}
	if cost, err := s.session.Cost(); err == nil {
		for _, c := range cost.Missed {
			notes = append(notes, fmt.Sprintf("the kernel left out %d runs of %s, which was busy on that CPU", c.N, c.Reason))
		}
	}
	for i, unused := range s.symbols.processes.Unused() {
		if i == maxUnusedTold {
			notes = append(notes, "nor of some more files")
			break
		}
		notes = append(notes, "inlined functions are not shown of "+unused)
	}
	return notes
}

// scriptStacks names the stacks of a script.
type scriptStacks struct{ *scriptSymbols }

func (y *scriptStacks) KernelStack(addrs []uint64) []profile.Frame {
	y.openKernel()
	return kernelFrames(y.kernel, addrs)
}

func (y *scriptStacks) UserStack(pid uint32, addrs []uint64) []profile.Frame {
	return profileFrames(nil, y.processes.Stack(pid, addrs), y.mangled)
}

func (y *scriptStacks) BuildFrames(id [20]byte, offset uint64, returned bool) []profile.Frame {
	return profileFrames(nil, y.processes.FramesByBuildID(id, offset, returned), y.mangled)
}
