package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sonde/internal/target"
	"sonde/internal/tool/malloc"
)

// mallocFlags are the flags of sonde malloc and of its drop-in name.
type mallocFlags struct {
	target      target.Options
	output      outputFlags
	outstanding bool
	interval    string
	top         int
	minSize     string
	sample      string
	stacks      int
	live        int
	profiles    profileFlags
	verbose     bool
	ebpf        bool
	classic     bool
}

func (x *mallocFlags) add(f *pflag.FlagSet) {
	targetFlags(f, &x.target)
	f.StringVarP(&x.output.format, "format", "f", "text", "`FORMAT` of the stacks: text or json")
	f.StringVarP(&x.output.file, "output", "o", "", "write the stacks to this `FILE`")
	f.StringVar(&x.output.fields, "fields", "", "with -f json, show these fields (`A,B`...; \"help\" lists them)")
	f.StringVarP(&x.output.duration, "duration", "d", "", "stop after this `TIME` (5, 1.5s, 10m)")
	f.StringVar(&x.output.buffer, "buffer", "", "`SIZE` of the ring buffer that new stacks come through (64K ... 1G; a power of two)")
	f.BoolVar(&x.output.noWait, "no-wait", false, "end with COMMAND, not with the last of its descendants")
	f.BoolVar(&x.outstanding, "outstanding", false, "show what was not given back, and how old it is")
	f.StringVarP(&x.interval, "interval", "i", "", "show what came in each `TIME`, again and again")
	f.IntVar(&x.top, "top", 0, "show only the `N` largest stacks")
	f.StringVar(&x.minSize, "min-size", "", "count only requests of at least this `SIZE`")
	f.StringVar(&x.sample, "sample", "", "look at one call of N, and multiply (`1/N`)")
	f.IntVar(&x.stacks, "stacks", malloc.DefaultStacks, "make room for `N` different stacks")
	f.IntVar(&x.live, "live", malloc.DefaultLive, "with --outstanding, make room for `N` pieces that are not given back")
	f.StringVar(&x.profiles.flame, "flame", "", "at the end, write the stacks as a flame graph: `FILE`.svg")
	f.StringVar(&x.profiles.folded, "folded", "", "the same as lines of text, a stack each, to this `FILE` (-: standard output)")
	f.StringVar(&x.profiles.pprof, "pprof", "", "the same for go tool pprof, to this `FILE`.pb.gz")
	f.BoolVar(&x.verbose, "verbose", false, "say what is probed, and measure what it costs")
	f.BoolVar(&x.ebpf, "ebpf", false, "print the programs that would be loaded, and stop")
	f.SetInterspersed(true)
}

func mallocCommand(io streams) *cobra.Command {
	var x mallocFlags
	c := &cobra.Command{
		Use:   "malloc [flags] [PID [NUM_STACKS] | -- COMMAND [ARG...]]",
		Short: "Show who asks for memory, by stack",
		Long: `Adds up, by stack, the bytes that processes ask of malloc and its like, and shows the stacks at the end, the largest last.

With -- COMMAND, only that command and its descendants are looked at; sonde ends with the last of them, with COMMAND's status.
PID is short for -p PID, and NUM_STACKS for --stacks.`,
		Example: `  sonde malloc -- ls -R /usr
  sonde malloc -p 1234 -d 10 --top 20
  sonde malloc -p 1234 --outstanding -d 60
  sonde malloc --flame malloc.svg -- ./server --selftest`,
		RunE: func(c *cobra.Command, args []string) error { return x.run(io, c, args) },
	}
	x.add(c.Flags())
	return c
}

// mallocstacksCommand is the drop-in: bcc's arguments and output.
func mallocstacksCommand(io streams, name string) *cobra.Command {
	x := mallocFlags{classic: true}
	c := &cobra.Command{
		Use:   name + " PID [NUM_STACKS] [flags]",
		Short: "Trace malloc() calls in a process and print the full stack trace for all callsites",
		RunE:  func(c *cobra.Command, args []string) error { return x.run(io, c, args) },
	}
	common(c)
	addVersion(c)
	x.add(c.Flags())
	return c
}

// positional takes PID and NUM_STACKS.
func (x *mallocFlags) positional(c *cobra.Command, args []string) error {
	dash := c.ArgsLenAtDash()
	if dash >= 0 {
		if err := commandAfterDash(c, args); err != nil {
			return err
		}
		x.target.Command = args
		return nil
	}
	switch {
	case len(args) > 2:
		return usage("unexpected %q; the arguments are PID and NUM_STACKS", args[2])
	case len(args) > 0 && strings.Trim(args[0], "0123456789") != "":
		return usage("unexpected %q (to trace a command: %s -- %s)", args[0], c.CommandPath(), args[0])
	case len(args) == 2:
		n, err := strconv.Atoi(args[1])
		if err != nil || c.Flags().Changed("stacks") {
			return usage("NUM_STACKS %q: a number of stacks, in place of --stacks", args[1])
		}
		x.stacks = n
	}
	if len(args) > 0 {
		x.target.PIDs = append(x.target.PIDs, args[0])
	}
	return nil
}

// maxTable bounds the tables that are made in the kernel.
const maxTable = 1 << 24

// options checks the flags that are the tool's own.
func (x *mallocFlags) options(out output) (opt malloc.Options, every time.Duration, err error) {
	opt = malloc.Options{Outstanding: x.outstanding, Stacks: x.stacks, Live: x.live, RingBytes: out.buffer}
	if x.stacks < 1 || x.stacks > maxTable {
		return opt, 0, usage("--stacks %d: from 1 to %d", x.stacks, maxTable)
	}
	if x.live < 1 || x.live > maxTable {
		return opt, 0, usage("--live %d: from 1 to %d", x.live, maxTable)
	}
	if x.top < 0 {
		return opt, 0, usage("--top %d: a number of stacks, 1 or more", x.top)
	}
	if x.interval != "" {
		if every, err = parseDuration(x.interval); err != nil {
			return opt, 0, usage("--interval %q: a time such as 5, 1.5s or 10m, more than 0", x.interval)
		}
	}
	if x.minSize != "" {
		n, err := parseSize(x.minSize)
		if err != nil {
			return opt, 0, usage("--min-size %q: a number of bytes such as 4096, 64K or 1M", x.minSize)
		}
		opt.MinSize = uint64(n)
	}
	if x.sample != "" {
		text, fraction := strings.CutPrefix(x.sample, "1/")
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil || !fraction || n == 0 {
			return opt, 0, usage("--sample %q: give 1/N, as 1/100", x.sample)
		}
		opt.Sample = uint32(n)
	}
	if x.profiles.folded == "-" && (out.json || x.interval != "") {
		return opt, 0, usage("--folded -: standard output would be mixed; give a file")
	}
	return opt, every, nil
}

func (x *mallocFlags) run(io streams, c *cobra.Command, args []string) error {
	if err := x.positional(c, args); err != nil {
		return err
	}
	out, helped, err := x.output.take(io, c.Flags(), malloc.RowType)
	if helped || err != nil {
		return err
	}
	opt, every, err := x.options(out)
	if err != nil {
		return err
	}
	if !x.aimed() && !x.ebpf {
		return usage("whose memory? Give PID, -p PID, -- COMMAND, or another of the flags that choose processes (see %s --help)", c.CommandPath())
	}
	if err := needProc(); err != nil {
		return err
	}
	r := &run{name: c.Root().Name(), io: io, out: out, rowType: malloc.RowType, columns: malloc.RowType.Columns, missed: malloc.Missed}
	m := &mallocRun{run: r, flags: x, opt: opt, every: every}
	return m.start()
}

// aimed says whether any flag chooses processes.
func (x *mallocFlags) aimed() bool {
	t := &x.target
	return len(t.PIDs)+len(t.Trees)+len(t.Command)+len(t.Cgroups) > 0 ||
		t.User+t.PPID+t.Comm+t.Container+t.CgroupMap+t.MntnsMap != ""
}
