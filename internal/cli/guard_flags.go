package cli

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"sonde/internal/target"
	"sonde/internal/tool/guard"
)

const persistFlag = "persist"

// defaultGuard is how a persistent guard is called that was given no name.
const defaultGuard = "default"

// guardFlags are the flags of sonde guard.
type guardFlags struct {
	target       target.Options
	output       outputFlags
	files        []string // of -f: the rule file, or a format
	mechanism    string
	allowWeaker  bool
	iKnow        bool
	dryRun       bool
	deadline     string
	maxDenies    string
	persist      string
	revoke       bool
	help         bool
	perSecond    uint64        // of maxDenies; 0 is no limit
	deadlineTime time.Duration // of deadline; 0 is none
}

func (x *guardFlags) add(f *pflag.FlagSet) {
	targetFlags(f, &x.target)
	x.output.addAs(f, "")
	f.StringArrayVarP(&x.files, "file", "f", nil, "take the rules from this `FILE` (YAML); text or json: as --format")
	f.StringVar(&x.mechanism, "mechanism", "auto", "`MECHANISM`: lsm, fmod_ret, override, kill or auto")
	f.BoolVar(&x.allowWeaker, "allow-weaker", false, "where nothing can deny, kill instead")
	f.BoolVar(&x.iKnow, "i-know", false, "arm rules that may catch sonde, PID 1, the loader, /dev, /proc, /sys or /")
	f.BoolVar(&x.dryRun, "dry-run", false, "only tell what would be denied or killed")
	f.StringVar(&x.deadline, "for", "", "disarm after this `TIME` (90s, 10m, 2h), by the kernel's clock")
	f.StringVar(&x.maxDenies, "max-denies", "", "beyond so many a second (`N/s`), only log")
	f.StringVar(&x.persist, persistFlag, "", "stay in force when sonde ends, under this `NAME` (\"default\")")
	f.Lookup(persistFlag).NoOptDefVal = defaultGuard
	f.BoolVar(&x.revoke, "revoke", false, "kill processes that hold files open which the rules deny or kill for")
	f.BoolVarP(&x.help, "help", "h", false, "help for guard")
}

// check reads what the flags' values mean.
func (x *guardFlags) check(f *pflag.FlagSet) (err error) {
	if x.deadlineTime, err = parseFor(x.deadline); err != nil {
		return err
	}
	if x.perSecond, err = parseRate(x.maxDenies); err != nil {
		return err
	}
	if m := guard.Mechanism(x.mechanism); m != "auto" && !slices.Contains(guard.Mechanisms(), m) {
		return usage("--mechanism %q: the mechanisms are lsm, fmod_ret, override and kill; or auto", x.mechanism)
	}
	if f.Changed(persistFlag) && !validGuardName(x.persist) {
		return usage("--persist=%q: a name of up to 63 letters, digits, _ and -", x.persist)
	}
	if x.persist != "" && x.dryRun {
		return usage("--dry-run guards nothing that could --persist; leave one of the two out")
	}
	if x.revoke && x.dryRun {
		return usage("--revoke kills, and --dry-run must not; leave one of the two out")
	}
	return nil
}

// longestFor is about a year.
const longestFor = 366 * 24 * time.Hour

func parseFor(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if n, nerr := strconv.ParseFloat(s, 64); nerr == nil && n > 0 && n < longestFor.Seconds() {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil || d < time.Millisecond || d > longestFor {
		return 0, usage("--for %q: a time such as 90s, 10m or 2h, up to 8784h", s)
	}
	return d, nil
}

func parseRate(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	number, _ := strings.CutSuffix(s, "/s")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || n == 0 {
		return 0, usage("--max-denies %q: a number for each second, such as 100/s", s)
	}
	return n, nil
}

// narrows says whether the run is about some processes only.
func (x *guardFlags) narrows() bool {
	t := &x.target
	return len(t.PIDs)+len(t.Trees)+len(t.Command)+len(t.Cgroups) > 0 || t.User != "" || t.PPID != "" || t.Container != "" ||
		t.CgroupMap != "" || t.MntnsMap != ""
}

// commandOnly says whether the run is about COMMAND and its descendants, and nothing else narrows it.
func (x *guardFlags) commandOnly() bool {
	all := *x
	all.target.Command = nil
	return len(x.target.Command) > 0 && !all.narrows()
}
