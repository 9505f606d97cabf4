package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/bypass"
	"sonde/internal/tool/guard/rule"
)

// guardSession is guard in the kernel: loaded, attached, and seen to do what its mechanism can. No rule is in force.
type guardSession struct {
	mechanism guard.Mechanism
	spec      *prog.Spec
	session   *attach.Session
	// generation is that of the last rules that were in the tables; those that come next have the next.
	generation uint32
	// admit makes a process of our own one of those whom the programs are about.
	admit []func(*attach.Session, uint32) error
	// refused are the better mechanisms, and why each of them does not work here.
	refused []refusedMechanism
}

type refusedMechanism struct {
	mechanism guard.Mechanism
	err       error
}

// openGuard loads guard by the first of the mechanisms that proves itself: rules for a decoy of its own are put in force, a
// child of its own tries to open it, and the hook must be seen to have run and the child to have been stopped. That a
// program attaches proves nothing: where BPF LSM is not active, its programs are attached and never asked.
//
// The session that has passed goes on: it is loaded once. build makes what is to be loaded.
//
// What is built may be about some processes only; admit must then make the child one of them.
func openGuard(
	ctx context.Context, mechanisms []guard.Mechanism, build func(guard.Mechanism) (*prog.Spec, error), admit ...func(*attach.Session, uint32) error,
) (*guardSession, error) {
	stage, err := bypass.NewStage(bypass.Places()[0].Dir)
	if err != nil {
		return nil, err
	}
	defer stage.Close()
	var refused []refusedMechanism
	for _, m := range mechanisms {
		g, err := tryMechanism(ctx, stage, m, build, admit)
		if err == nil {
			g.refused = refused
			return g, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		refused = append(refused, refusedMechanism{m, err})
	}
	return nil, &noMechanism{refused}
}

// noMechanism is the error of a kernel that lets nothing guard.
type noMechanism struct{ refused []refusedMechanism }

func (e *noMechanism) Error() string {
	if len(e.refused) == 1 {
		return fmt.Sprintf("%s does not work here: %v", e.refused[0].mechanism, e.refused[0].err)
	}
	var why []string
	for _, r := range e.refused {
		why = append(why, fmt.Sprintf("%s: %v", r.mechanism, r.err))
	}
	return "this kernel lets no mechanism guard files: " + strings.Join(why, "; ")
}

// close takes guard out of the kernel.
func (g *guardSession) close() error { return g.session.Close() }

func tryMechanism(
	ctx context.Context, stage *bypass.Stage, m guard.Mechanism, build func(guard.Mechanism) (*prog.Spec, error), admit []func(*attach.Session, uint32) error,
) (g *guardSession, err error) {
	// Loading all that guards takes its time: what this kernel refuses to the smallest program is not asked of it.
	switch f := needed(m); {
	case f.State == kernel.Absent && m == guard.LSM && inactive():
		return nil, errNeverAsked()
	case f.State == kernel.Absent:
		return nil, &lacking{f, errors.New(f.Reason)}
	}
	spec, err := build(m)
	if err != nil {
		return nil, plainly(m, err)
	}
	g = &guardSession{mechanism: m, spec: spec, admit: admit}
	if g.session, err = attach.Open(spec); err != nil {
		return nil, plainly(m, err)
	}
	opened := g
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}()
	if err = g.session.Attach(); err != nil {
		return nil, plainly(m, err)
	}
	if err = g.session.SetWord(guard.SelfWord, uint64(unix.Getpid())); err != nil {
		return nil, err
	}
	return g, g.prove(ctx, stage)
}

// whatItNeeds is what a mechanism needs of the kernel.
func whatItNeeds(m guard.Mechanism) kernel.Feature {
	switch m {
	case guard.LSM:
		return kernel.LSM
	case guard.FmodRet:
		return kernel.FmodRet
	case guard.Override:
		if byModifying(m) != nil {
			return kernel.FmodRetSyscall
		}
		return kernel.OverrideReturn
	}
	return kernel.RawTracepoint
}

// byModifying is for override on kernels without the helper for it that let programs modify what system calls return: it
// says of which functions that is so.
func byModifying(m guard.Mechanism) func(function string) bool {
	if m != guard.Override || !callsModifiable() {
		return nil
	}
	return attach.ModifiesReturn
}

var callsModifiable = sync.OnceValue(func() bool {
	return attach.Try(kernel.OverrideReturn).State != kernel.Present && attach.Try(kernel.FmodRetSyscall).State == kernel.Present
})

// needed tries what a mechanism needs of the kernel.
func needed(m guard.Mechanism) kernel.Finding {
	f := attach.Try(whatItNeeds(m))
	if f.Feature == kernel.OverrideReturn && f.State == kernel.Absent {
		f.Reason += ", nor another way: " + attach.Try(kernel.FmodRetSyscall).Reason
	}
	return f
}

// guardOptions are what a mechanism is loaded with on this kernel.
func guardOptions(m guard.Mechanism) guard.Options {
	return guard.Options{Mechanism: m, Returns: byReturns(m), Modifies: byModifying(m)}
}

// byReturns says whether a mechanism has to do with the returns of system calls, because the kernel has no kprobes.
func byReturns(m guard.Mechanism) bool {
	return m == guard.Kill && attach.Try(kernel.Kprobe).State != kernel.Present
}

// plainly says of a mechanism that could not be loaded or attached what this kernel lacks; if that is not the reason, it
// leaves the error as it is.
func plainly(m guard.Mechanism, err error) error {
	if f := needed(m); f.State != kernel.Present && f.Reason != "" {
		return &lacking{f, err}
	}
	return err
}

type lacking struct {
	finding kernel.Finding
	err     error
}

func (e *lacking) Error() string { return e.finding.Reason }
func (e *lacking) Unwrap() error { return e.err }

// prove has a child open a decoy that a rule forbids to it.
func (g *guardSession) prove(ctx context.Context, stage *bypass.Stage) error {
	var counts guard.Counts
	r, err := stage.Try(ctx, bypass.Find("openat"), bypass.File, func(m bypass.Meant) (func() error, error) {
		loaded, disarm, err := g.armDecoy(m, rule.AllAccess)
		if err != nil {
			return nil, err
		}
		return func() error {
			c, err := loaded.Counts(g.session)
			if err == nil && len(c) == 1 {
				counts = c[0]
			}
			return errors.Join(err, disarm())
		}, nil
	})
	if err != nil {
		return fmt.Errorf("trying it on a decoy: %w", err)
	}
	return g.proven(r, counts)
}

// proven says what is wrong with what was seen of a try, nil if the mechanism works.
func (g *guardSession) proven(r bypass.Result, counts guard.Counts) error {
	asked := counts.Matches > 0
	switch {
	case !asked && r.Outcome == bypass.Reached && g.mechanism == guard.LSM:
		return errNeverAsked()
	case !asked && r.Outcome == bypass.Reached:
		return errors.New("its programs were attached and never asked")
	case r.Outcome == bypass.Reached:
		return errors.New("its programs said no, and a decoy was opened all the same")
	case g.mechanism.Denies() && asked && counts.Denied > 0 && r.Outcome == bypass.Refused && r.Errno == unix.EACCES && r.Intact():
		return nil
	case !g.mechanism.Denies() && asked && counts.Killed > 0 && r.Outcome == bypass.Killed:
		return nil
	}
	return fmt.Errorf("trying it on a decoy led to something else than was to be expected: %v, after %d questions", r, counts.Matches)
}

// inactive says whether BPF LSM is known not to be among the active security modules.
func inactive() bool {
	active := kernel.ActiveLSMs()
	return active != nil && !slices.Contains(active, "bpf")
}

func errNeverAsked() error {
	return fmt.Errorf("its programs were attached and never asked, because bpf is not among the active security modules (%s); "+
		"add it to lsm= on the kernel's command line", strings.Join(kernel.ActiveLSMs(), ","))
}

// armDecoy puts a rule about a decoy in force that means one process of our own, in the place of what was in force.
// What it returns takes it out again.
func (g *guardSession) armDecoy(m bypass.Meant, access rule.Access) (*guard.Loaded, func() error, error) {
	for _, admit := range g.admit {
		if err := admit(g.session, uint32(m.PID)); err != nil {
			return nil, nil, err
		}
	}
	armed, err := guard.Arm(decoyRules(m, access), guard.Env{IKnow: true})
	if err != nil {
		return nil, nil, fmt.Errorf("a rule for a decoy: %w", err)
	}
	return g.arm(armed)
}

// arm loads rules as the next generation and switches to them, and arms guard.
func (g *guardSession) arm(armed *guard.Armed) (*guard.Loaded, func() error, error) {
	loaded, err := guard.Load(g.session, armed, g.generation+1)
	if err != nil {
		return nil, nil, err
	}
	g.generation++
	err = loaded.Switch(g.session)
	if err == nil {
		err = g.session.SetWord(guard.ModeWord, guard.ModeArmed)
	}
	disarm := func() error {
		off := g.session.SetWord(guard.ModeWord, guard.ModeOff)
		_, err := loaded.Drop(g.session)
		return errors.Join(off, err)
	}
	if err != nil {
		return nil, nil, errors.Join(err, disarm())
	}
	return loaded, disarm, nil
}

// decoyRules is a rule that denies one process something about a decoy.
func decoyRules(m bypass.Meant, access rule.Access) *rule.Set {
	kind := rule.File
	switch m.Shape {
	case bypass.Tree:
		kind = rule.Tree
	case bypass.Base:
		kind = rule.BaseName
	}
	return &rule.Set{Rules: []rule.Rule{{
		Name: "decoy", What: []rule.Pattern{{Kind: kind, Path: m.Pattern}}, Access: access,
		Who: rule.Who{PIDs: []uint32{uint32(m.PID)}}, Action: rule.Deny, Errno: rule.EACCES,
	}}}
}
