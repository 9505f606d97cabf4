package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"sonde/internal/target"
	"sonde/internal/tool/guard/bypass"
	"sonde/internal/tracefs"
)

// version is set by the linker.
var version = "devel"

// Exit codes. A traced COMMAND's own status is passed on, 127 and 126 are those of a shell.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// streams are where a run reads and writes. Commands use these, never os.Stdout.
type streams struct {
	in       io.Reader
	out, err *os.File
}

// statusError ends the process with a status and, with nothing left to say, without a message.
type statusError struct{ status int }

func (e *statusError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// usageError is a fault of the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// asUsage marks as a fault of the command line what is one: all that Resolve finds, except a COMMAND that cannot be run,
// which has a status of its own.
func asUsage(err error) error {
	var command *target.CommandError
	if errors.As(err, &command) {
		return err
	}
	return &usageError{err}
}

// Run runs sonde with a command line, argv[0] included, and returns the exit status.
func Run(argv []string, in, out, errOut *os.File) int {
	if handled, status := target.LauncherMain(argv); handled {
		return status
	}
	if handled, status := tracefs.RemoverMain(argv); handled {
		return status
	}
	if handled, status := bypass.ChildMain(argv); handled {
		return status
	}
	name := "sonde"
	if len(argv) > 0 {
		name = filepath.Base(argv[0])
	}
	io := streams{in: in, out: out, err: errOut}
	var root *cobra.Command
	if dropIn, ok := dropIns[name]; ok {
		root = dropIn(io, name)
	} else {
		name, root = "sonde", rootCommand(io, argv)
	}
	root.SetArgs([]string{}) // nil would be os.Args
	if len(argv) > 0 {
		root.SetArgs(spelledOut(root, argv[1:]))
	}
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.Execute()
	status := exitStatus(errOut, name, err)
	if name == classicName {
		status = classicStatus(status, err)
	}
	return status
}

// exitStatus says what went wrong in one line, and turns it into a status.
func exitStatus(w io.Writer, name string, err error) int {
	var status *statusError
	var use *usageError
	var command *target.CommandError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return status.status
	case errors.As(err, &command):
		say(w, "%s: %v", name, err)
		return command.Status
	case errors.As(err, &use):
		say(w, "%s: %v", name, err)
		return exitUsage
	}
	if errors.Is(err, syscall.EMFILE) {
		err = fmt.Errorf("%w; allow more of them (ulimit -n)", err)
	}
	say(w, "%s: %v", name, err)
	return exitFailure
}

// say writes one line to standard error, whatever is in it.
func say(w io.Writer, format string, args ...any) {
	fmt.Fprintln(w, oneLine(fmt.Sprintf(format, args...)))
}

// oneLine keeps what came from elsewhere from breaking the line or reaching the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\r':
			return ' '
		case !strconv.IsPrint(r): // controls, and what changes the direction of the text or is not seen
			return '?'
		}
		return r
	}, strings.ReplaceAll(s, "\n", "; "))
}

// dropIns are the names under which the binary is another tool: its flags, its columns.
var dropIns = map[string]func(streams, string) *cobra.Command{
	"execsnoop": execsnoopCommand,
	"opensnoop": opensnoopCommand,
	"bootstrap": bootstrapCommand,
	classicName: bpftraceCommand,

	"mallocstacks": mallocstacksCommand,
}

// toolCommand is a command by its name.
type toolCommand struct {
	name string
	make func(streams) *cobra.Command
}

// tools are the commands, in the order in which they are shown.
var tools = []toolCommand{
	{"exec", execCommand}, {"open", openCommand}, {"proc", procCommand}, {"malloc", mallocCommand},
	{"guard", guardCommand}, {"run", runCommand}, {"list", listCommand}, {"doctor", doctorCommand},
}

// rootCommand is the command line that argv is read by. Where its first word is a tool's name the others are left out: none
// of them will be asked for, and to make all their flags takes a hundredth of the start.
func rootCommand(io streams, argv []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "sonde",
		Short: "Shows what the programs on this host do",
		Long: `sonde shows what the programs on a Linux host do, and stops them where they must not.

  sonde exec -- make      trace one command and all its descendants
  sonde exec              trace every exec of the host
  sonde open -- ls /      trace the files that a command opens
  sonde proc -- make      trace the processes of a command, and end with their tree
  sonde malloc -- make    who asks for memory, by stack
  sonde guard deny FILE   report, deny or kill what must not be done to files
  sonde run FILE.bt       run a bpftrace script; -e PROGRAM, one given here
  sonde run FILE.o        run a compiled BPF object
  sonde list 'PATTERN'    which probes there are here
  sonde doctor            what this kernel and these privileges allow

Linked to the name execsnoop, opensnoop, bootstrap, mallocstacks or bpftrace, it takes that tool's flags and prints what it prints.`,
		Args: commandName,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	common(root)
	addVersion(root)
	asked := slices.IndexFunc(tools, func(t toolCommand) bool { return len(argv) > 1 && t.name == argv[1] })
	for i, t := range tools {
		if asked < 0 || i == asked {
			root.AddCommand(t.make(io))
		}
	}
	root.SetHelpCommand(helpCommand(root))
	return root
}

// commandName refuses a word that is no command, with those that it could have been meant to be.
func commandName(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	root.SuggestionsMinimumDistance = 2
	hint := fmt.Sprintf("see %s --help", root.Name())
	if like := root.SuggestionsFor(args[0]); len(like) > 0 {
		hint = fmt.Sprintf("did you mean %q?", like[0])
	}
	return usage("unknown command %q; %s", args[0], hint)
}

func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explain a command",
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil {
				return usage("%w", err)
			}
			if len(rest) > 0 {
				return commandName(root, rest)
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

// common sets what all commands share: errors are printed by Run, in one line, and a wrong flag is a usage error.
func common(c *cobra.Command) {
	c.SilenceErrors = true
	c.SilenceUsage = true
	c.CompletionOptions.HiddenDefaultCmd = true
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w (see %s --help)", err, c.CommandPath())
	})
}

// addVersion gives a command --version. Cobra has one too, but its text is changed by a template, and for those the linker
// keeps every exported method there is: over a megabyte.
func addVersion(c *cobra.Command) {
	asked := c.Flags().BoolP("version", "v", false, "version for "+c.Name())
	args, run := c.Args, c.RunE
	c.Args = func(c *cobra.Command, words []string) error {
		if *asked || args == nil {
			return nil
		}
		return args(c, words)
	}
	c.RunE = func(c *cobra.Command, words []string) error {
		if *asked {
			return showVersion(c)
		}
		return run(c, words)
	}
}

func showVersion(c *cobra.Command) error {
	_, err := fmt.Fprintln(c.OutOrStdout(), c.Name(), version)
	return err
}

// needProc returns an error where /proc is not mounted: what would be found there would seem not to be.
func needProc() error {
	var fs unix.Statfs_t
	if err := unix.Statfs("/proc", &fs); err != nil || fs.Type != unix.PROC_SUPER_MAGIC {
		return errors.New("/proc is not mounted; mount it: mount -t proc proc /proc")
	}
	return nil
}
