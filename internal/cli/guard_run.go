package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sonde/internal/attach"
	"sonde/internal/print"
	"sonde/internal/prog"
	"sonde/internal/target"
	"sonde/internal/tool/guard"
	"sonde/internal/tool/guard/rule"
)

// guardRun is one run of sonde guard.
type guardRun struct {
	name   string // under which sonde was called
	io     streams
	flags  *guardFlags
	source *ruleSource
	out    output
	run    *run

	env        guard.Env
	keys       []string // of the fields that are shown
	mechanism  guard.Mechanism
	refused    []refusedMechanism
	pins       *pinDirs // nil without --persist
	pinned     bool
	since      time.Time
	watcher    *guard.Watcher
	hangup     chan os.Signal
	onTerminal bool
	names      *ruleNames

	// One goroutine reloads, another gives the account.
	mu     sync.Mutex
	set    *rule.Set
	armed  *guard.Armed
	loaded *guard.Loaded
	past   ruleTotals // of rules that were in force before
}

// do arms the rules, shows what comes of them, and disarms.
func (g *guardRun) do(set *rule.Set) error {
	if err := needProc(); err != nil {
		return err
	}
	if g.flags.target.Comm != "" && protects(set) {
		return usage("-n %q would be told of fewer processes than are guarded against; narrow the rules themselves: comm of who", g.flags.target.Comm)
	}
	tgt, err := g.flags.target.Resolve()
	if err != nil {
		return asUsage(err)
	}
	if err := g.needsCommand(set, tgt); err != nil {
		return tellProblems(g.io, g.name, err)
	}
	g.env = guard.Env{IKnow: g.flags.iKnow}
	armed, err := guard.Arm(set, g.env)
	if err != nil {
		return tellProblems(g.io, g.name, err)
	}
	g.set, g.armed = set, armed
	if g.watcher, err = guard.Watch(armed, g.env); err != nil {
		return err
	}
	defer g.watcher.Close()
	cols := guard.RowType.Columns
	if g.out.fields != nil {
		if cols, err = print.SelectColumns(guard.RowType, g.out.fields); err != nil {
			return &usageError{err}
		}
	}
	g.keys = shownFields(guard.RowType, g.out, cols)
	if g.flags.persist != "" {
		if g.pins, err = makePins(g.flags.persist); err != nil {
			return err
		}
		defer g.pins.close()
	}
	g.hangup = make(chan os.Signal, 1)
	g.run = &run{
		name: g.name, io: g.io, target: tgt, out: g.out, rowType: guard.RowType, columns: cols,
		treeLive: guard.TreeLive, treeSeeded: guard.TreeSeeded, missed: "something may have been neither denied nor told",
		hooks: hooks{
			open: g.open, attached: g.arm, beside: g.beside, ending: g.disarm, account: g.account, signals: g.signals(),
			unread: func() bool { return g.run.command != nil || g.pins != nil },
		},
	}
	err = g.run.trace(func(s print.Sink, mono2wall int64) tracer {
		show := guard.Show{Sink: s, Comm: tgt.MatchComm, Count: g.out.count, Mono2Wall: mono2wall, RuleName: g.names.name}
		if slices.Contains(g.keys, "cgroup") || slices.Contains(g.keys, "container") {
			show.Cgroups = target.NewCgroups()
		}
		return guard.NewTracer(show)
	})
	return g.unpin(err)
}

// needsCommand refuses rules about COMMAND where there is none.
func (g *guardRun) needsCommand(set *rule.Set, tgt *target.Target) error {
	if tgt.FollowsTree() {
		return nil
	}
	for i := range set.Rules {
		r := &set.Rules[i]
		if r.Who.Tree || slices.ContainsFunc(r.Except, func(w rule.Who) bool { return w.Tree }) {
			return rule.Problems{{
				File: set.File, Pos: r.Pos, What: fmt.Sprintf("rule %s is about COMMAND, and there is none", r.Name),
				Todo: "give one (-- COMMAND), or --tree PID",
			}}
		}
	}
	return nil
}

// protects says whether any of the rules keeps somebody from something.
func protects(set *rule.Set) bool {
	return slices.ContainsFunc(set.Rules, func(r rule.Rule) bool { return r.Action.Denies() || r.Action.Kills() })
}

// signals are those that end the run: a hangup reloads the rules where they are in a file.
func (g *guardRun) signals() []os.Signal {
	if g.source.file == "" {
		return endSignals()
	}
	return slices.DeleteFunc(endSignals(), func(s os.Signal) bool { return s == syscall.SIGHUP })
}

// open loads what guards by the strongest mechanism that has proved itself.
func (g *guardRun) open() (*prog.Spec, *attach.Session, error) {
	build := func(m guard.Mechanism) (*prog.Spec, error) {
		opt := guardOptions(m)
		opt.Fields, opt.Sizes = g.keys, guard.SizesFor(g.armed)
		opt.RingBytes, opt.UrgentBytes = g.out.buffer, max(urgentBytes, g.out.buffer)
		return guard.Spec(opt)
	}
	narrow := g.flags.narrows()
	var admit []func(*attach.Session, uint32) error
	if g.flags.commandOnly() {
		narrow, admit = false, append(admit, admitToTree)
	}
	whole := func(m guard.Mechanism) (*prog.Spec, error) {
		spec, err := build(m)
		if err == nil && !narrow {
			err = g.run.target.Apply(spec)
		}
		return spec, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), g.run.endSignals()...)
	defer stop()
	proved, err := openGuard(ctx, g.candidates(), whole, admit...)
	if err != nil {
		return nil, nil, g.cannot(interrupted(ctx, err))
	}
	g.mechanism, g.refused = proved.mechanism, proved.refused
	if err := g.canDo(g.set); err != nil {
		return nil, nil, errors.Join(err, proved.close())
	}
	if !narrow {
		return proved.spec, proved.session, g.load(proved.session, proved.generation)
	}
	// The decoy's child is none of those whom this run is about: so it was proved for everybody, and is loaded again.
	if err := proved.close(); err != nil {
		return nil, nil, err
	}
	spec, err := build(g.mechanism)
	if err != nil {
		return nil, nil, err
	}
	if err := g.run.target.Apply(spec); err != nil {
		return nil, nil, err
	}
	session, err := attach.Open(spec)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(session.Attach(), g.load(session, 0)); err != nil {
		return nil, nil, errors.Join(err, session.Close())
	}
	return spec, session, nil
}

// urgentBytes is the size of the ring for denials and kills: some seconds of a storm, while the reader waits for its turn.
const urgentBytes = 2 << 20

// admitToTree makes the decoy's child one of COMMAND's descendants. It is counted before it is entered, for when it ends the
// programs count it off.
func admitToTree(s *attach.Session, pid uint32) error {
	n, err := s.Word(guard.TreeSeeded)
	if err == nil {
		err = s.SetWord(guard.TreeSeeded, n+1)
	}
	if err == nil {
		_, err = s.Add(target.MapTree, pid, uint8(1))
	}
	return err
}

// load writes the rules into the tables, as those that are in force once the guard is armed.
func (g *guardRun) load(s *attach.Session, generation uint32) (err error) {
	if g.loaded, err = guard.Load(s, g.armed, generation+1); err != nil {
		return err
	}
	g.names.add(g.loaded)
	return errors.Join(
		g.loaded.Switch(s),
		s.SetWord(guard.SelfWord, uint64(os.Getpid())),
		s.SetWord(guard.MaxDeniesWord, g.flags.perSecond),
	)
}

// candidates are the mechanisms that may serve, the strongest first.
func (g *guardRun) candidates() []guard.Mechanism {
	if m := g.flags.mechanism; m != "auto" {
		return []guard.Mechanism{guard.Mechanism(m)}
	}
	return guard.Mechanisms()
}

// canDo refuses to deny where that is not possible, unless the user is content with less.
func (g *guardRun) canDo(set *rule.Set) error {
	if g.mechanism.Denies() || g.flags.allowWeaker || g.flags.dryRun {
		return nil
	}
	for i := range set.Rules {
		if r := &set.Rules[i]; r.Action.Denies() {
			return fmt.Errorf("rule %s denies, and %s cannot: it kills when the operation is done%s; take kill for its action, or --allow-weaker",
				r.Name, g.mechanism, whyRefused(g.refused))
		}
	}
	return nil
}

func whyRefused(refused []refusedMechanism) string {
	var b strings.Builder
	for i, r := range refused {
		sep := ", "
		if i == 0 {
			sep = " ("
		}
		fmt.Fprintf(&b, "%sno %s: %v", sep, r.mechanism, r.err)
	}
	if len(refused) > 0 {
		b.WriteString(")")
	}
	return b.String()
}

// cannot adds to the error of a kernel on which nothing guards that other kernels can.
func (g *guardRun) cannot(err error) error {
	var none *noMechanism
	if errors.As(err, &none) {
		return fmt.Errorf("nothing is armed: %w; see sonde doctor", err)
	}
	return err
}

// arm puts the rules in force, once every program is where it belongs.
func (g *guardRun) arm() (err error) {
	s := g.run.session
	// What the decoy's child did is nobody's affair.
	if err := g.run.skip(); err != nil {
		return err
	}
	if g.source.file != "" {
		signal.Notify(g.hangup, syscall.SIGHUP)
	}
	if d := g.flags.deadlineTime; d > 0 {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
			return err
		}
		if err := s.SetWord(guard.DeadlineWord, uint64(now.Nano())+uint64(d)); err != nil {
			return err
		}
	}
	if err := s.SetWord(guard.ModeWord, g.mode()); err != nil {
		return err
	}
	g.since = time.Now()
	if g.pins != nil {
		if err := g.pin(); err != nil {
			return errors.Join(err, s.SetWord(guard.ModeWord, guard.ModeOff))
		}
	}
	g.tellStart()
	return g.tellHolders()
}

func (g *guardRun) mode() uint64 {
	if g.flags.dryRun {
		return guard.ModeDry
	}
	return guard.ModeArmed
}

// disarm comes when the run is to end, before anything else does. What is persistent stays in force, unless somebody sits
// at the keyboard and wants it to end.
func (g *guardRun) disarm(sig os.Signal) {
	if g.pins != nil && sig != os.Interrupt {
		return
	}
	if err := g.run.session.SetWord(guard.ModeWord, guard.ModeOff); err != nil {
		say(g.io.err, "%s: %v", g.name, err)
	}
}

// unpin ends what was to be persistent and could not be, or is not to be any more.
func (g *guardRun) unpin(err error) error {
	if g.pins == nil {
		return err
	}
	if g.pinned && g.run.signal != os.Interrupt {
		if !g.pins.own.Gone() {
			say(g.io.err, "%s: %s stays in force; sonde guard stop %s ends it", g.name, g.pins.name, g.pins.name)
		}
		return err
	}
	return errors.Join(err, g.pins.remove())
}

// beside waits for what changes the rules or ends them.
func (g *guardRun) beside(ctx context.Context) {
	defer signal.Stop(g.hangup)
	var over <-chan time.Time
	if g.flags.deadlineTime > 0 {
		over = time.After(g.flags.deadlineTime)
	}
	var look <-chan time.Time
	if g.pins != nil {
		look = time.Tick(pinTick)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.hangup:
			if g.terminalGone() {
				return
			}
			g.reload("SIGHUP", true)
		case change := <-g.watcher.Changes():
			g.reload(change+" has changed", false)
		case <-look:
			if g.pins.own.Gone() {
				say(g.io.err, "%s: %s was stopped", g.name, g.pins.name)
				return
			}
		case <-over:
			say(g.io.err, "%s: disarmed after %s, as --for says", g.name, g.flags.deadlineTime)
			return
		}
	}
}

// pinTick is how often it is looked whether somebody else stopped a persistent guard.
const pinTick = 500 * time.Millisecond
