package bypass

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Stage is a private directory in which decoys stand.
type Stage struct {
	dir   string
	broom *broom
	count int
}

// NewStage makes a private directory with a name that nobody can foresee below parent. Close it.
func NewStage(parent string) (*Stage, error) {
	dir := filepath.Join(parent, stagePrefix+randomName()+randomName())
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a directory for decoys: %w", err)
	}
	b, err := startBroom(dir)
	if err != nil {
		return nil, errors.Join(err, removeAll(dir))
	}
	return &Stage{dir: dir, broom: b}, nil
}

// Dir is the directory, absolute if the parent is.
func (s *Stage) Dir() string { return s.dir }

// Close removes the directory and all in it.
func (s *Stage) Close() error {
	_ = s.broom.done() // whatever became of it, what counts is the directory
	return removeAll(s.dir)
}

// Place is one directory that decoys can be put in.
type Place struct {
	Dir string
	// Kind is what of a file system it is in, in one word.
	Kind string
}

// Places are directories of this machine for decoys: one in memory and one on a disk, as far as there are such, the one in
// which programs can be executed first.
func Places() []Place {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	var found []Place
	var memory, disk bool
	for _, dir := range []string{"/dev/shm", "/run", os.TempDir(), "/tmp", "/var/tmp", "/root", "/"} {
		var fs unix.Statfs_t
		if unix.Statfs(dir, &fs) != nil || fs.Flags&unix.ST_RDONLY != 0 || fs.Flags&unix.ST_NOEXEC != 0 || unix.Access(dir, unix.W_OK) != nil {
			continue
		}
		switch inMemory := fs.Type == tmpfs || fs.Type == ramfs; {
		case inMemory && !memory:
			memory = true
			found = append(found, Place{dir, "memory"})
		case !inMemory && !disk:
			disk = true
			found = append(found, Place{dir, "disk"})
		}
	}
	if len(found) == 0 {
		found = append(found, Place{os.TempDir(), "unknown"})
	}
	return found
}

// Meant is what a rule is to name.
type Meant struct {
	Shape Shape
	// Pattern is a path, or of Base a last name.
	Pattern string
	PID     int    // the only process that the rule may mean
	Access  string // what the way does to the file: Way.Access
}

// Arm brings a rule into force and returns what takes it out of force again.
type Arm func(Meant) (disarm func() error, err error)

// Unguarded is for a try without any rule.
func Unguarded(Meant) (func() error, error) { return func() error { return nil }, nil }

// tryTime is how long one half of a try may take; a child that takes longer is killed.
const tryTime = 30 * time.Second

// Try tries one way once, against a decoy of its own. An error means that the try could not be made.
func (s *Stage) Try(ctx context.Context, w *Way, shape Shape, arm Arm) (r Result, err error) {
	r = Result{Way: w, Shape: shape}
	if why, is := w.NotFor[shape]; is {
		r.Outcome, r.Why = Outside, why
		return r, nil
	}
	s.count++
	root := filepath.Join(s.dir, strconv.Itoa(s.count))
	defer func() { err = errors.Join(err, removeAll(root)) }()
	sc, err := newScene(root)
	if err != nil {
		return r, err
	}
	defer sc.close()
	c, err := s.start(ctx, w, shape, sc)
	if err != nil {
		return r, err
	}
	defer c.end()

	t := trial{scene: sc, way: w, shape: shape, child: c, result: &r}
	disarm := func() error { return nil }
	defer func() { err = errors.Join(err, disarm()) }()
	armed := func() (err error) {
		disarm, err = arm(Meant{Shape: shape, Pattern: sc.pattern(shape), PID: c.cmd.Process.Pid, Access: w.Access})
		if err != nil {
			disarm = func() error { return nil }
		}
		return err
	}
	if shape == Create {
		if err := armed(); err != nil {
			return r, err
		}
	}
	if ready, err := t.prepare(); err != nil || !ready {
		return r, err
	}
	if shape != Create {
		if err := armed(); err != nil {
			return r, err
		}
	}
	return r, errors.Join(t.finish(), ctx.Err())
}

// pattern is what a rule of that shape names.
func (s *scene) pattern(shape Shape) string {
	switch shape {
	case Tree:
		return s.Tree
	case Base:
		return s.Name
	}
	return s.File
}

// trial is a try under way.
type trial struct {
	*scene
	way    *Way
	shape  Shape
	child  *process
	result *Result
}

// prepare does what comes before the rule; ready says whether there is anything to try.
func (t *trial) prepare() (ready bool, err error) {
	if t.way.Group != Creates {
		if err := t.appear(); err != nil {
			return false, err
		}
	}
	if t.way.stage != nil {
		if err := t.way.stage(t.scene); err != nil {
			return false, t.missing(err)
		}
	}
	rep, status, err := t.child.step()
	switch {
	case err != nil:
		return false, err
	case rep == nil && t.shape == Create && killed(status):
		t.result.Outcome = Killed
		return false, nil
	case rep == nil:
		t.result.Outcome, t.result.Why = Impossible, "preparing: the process "+ending(status)
		return false, nil
	case t.shape == Create && rep.Errno != 0 && !rep.NotHere: // the rule is in force already
		t.result.Outcome, t.result.Errno = Refused, syscall.Errno(rep.Errno)
		return false, nil
	case rep.Text != "":
		t.result.Outcome, t.result.Why, t.result.Errno = Impossible, rep.Text, syscall.Errno(rep.Errno)
		return false, nil
	}
	return true, nil
}

// missing records that a way cannot be gone because what it starts from cannot be made.
func (t *trial) missing(err error) error {
	if lacking(err) || errors.As(err, new(*notHere)) || errors.Is(err, unix.EPERM) {
		t.result.Outcome, t.result.Why = Impossible, err.Error()
		return nil
	}
	return fmt.Errorf("preparing %q: %w", t.way.Name, err)
}

// finish lets the child try, and judges by what it did.
func (t *trial) finish() (err error) {
	if t.way.after != nil {
		if err := t.way.after(t.scene); err != nil {
			return t.missing(err)
		}
	}
	if t.before, err = t.look(); err != nil {
		return err
	}
	rep, status, err := t.child.step()
	if err != nil {
		return err
	}
	if rep != nil {
		status = t.child.end() // it may be killed on its way out
	}
	now, err := t.look()
	if err != nil {
		return err
	}
	t.result.Changed = t.before.changed(now)
	t.judge(rep, status)
	return nil
}

// judge says what the try has led to. rep is nil if the child ended without a word.
func (t *trial) judge(rep *report, status syscall.WaitStatus) {
	r := t.result
	var got []byte
	if rep != nil {
		r.Tries, r.Hits = rep.Tries, rep.Hits
		got, _ = hex.DecodeString(rep.Got) // what is not hexadecimal is not the secret
	}
	reached := func(effect string) { r.Outcome, r.Effect = Reached, effect }
	switch {
	case t.hasSecret(got):
		reached(WasRead)
	case rep == nil && status.Exited() && status.ExitStatus() == ranStatus:
		reached(WasRun)
	case killed(status):
		r.Outcome = Killed
	case rep == nil:
		r.Outcome, r.Why = Impossible, "the process "+ending(status)
	case !r.Intact() && r.Way.Access != "read" && r.Way.Access != "exec":
		reached(WasChanged)
	case rep.NotHere:
		r.Outcome, r.Why = Impossible, rep.Text
	case rep.Text != "":
		r.Outcome, r.Errno = Refused, syscall.Errno(rep.Errno)
		if r.Errno == 0 {
			r.Why = rep.Text
		}
	default:
		reached(LetThrough)
	}
}

func killed(s syscall.WaitStatus) bool { return s.Signaled() && s.Signal() == unix.SIGKILL }

func ending(s syscall.WaitStatus) string {
	if s.Signaled() {
		return "was ended by " + unix.SignalName(s.Signal())
	}
	return fmt.Sprintf("ended with status %d", s.ExitStatus())
}

func errnoName(e syscall.Errno) string {
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return strconv.Itoa(int(e))
}

// process is a child that tries.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	ended bool
}

func (s *Stage) start(ctx context.Context, w *Way, shape Shape, sc *scene) (*process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, "/proc/self/exe", w.Name, sc.Root, sc.Tree, sc.Dir, sc.File, sc.Side, sc.Other, shape.String())}
	p.cmd.Args[0] = childName
	p.cmd.Env = []string{"GOTRACEBACK=none"}
	p.cmd.Dir = "/"
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting sonde again: %w; is /proc mounted?", err)
	}
	return p, nil
}

// step lets the child do its next half and returns its report, or how it ended without one.
func (p *process) step() (*report, syscall.WaitStatus, error) {
	timer := time.AfterFunc(tryTime, func() { _ = p.cmd.Process.Signal(unix.SIGABRT) })
	defer timer.Stop()
	if _, err := p.in.Write([]byte{1}); err != nil && !errors.Is(err, unix.EPIPE) {
		return nil, 0, fmt.Errorf("telling the child to go: %w", err)
	}
	const longest = 64 << 10
	line, err := p.out.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF):
		return nil, p.end(), nil
	case err != nil || len(line) > longest:
		return nil, 0, fmt.Errorf("hearing of the child: %w", err)
	}
	var r report
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, 0, fmt.Errorf("what the child said: %w", err)
	}
	return &r, 0, nil
}

// end closes the child's pipe, which ends it, and waits for that.
func (p *process) end() syscall.WaitStatus {
	if !p.ended {
		p.ended = true
		p.in.Close()
		timer := time.AfterFunc(tryTime, func() { _ = p.cmd.Process.Signal(unix.SIGABRT) })
		_ = p.cmd.Wait() // ProcessState tells
		timer.Stop()
	}
	if p.cmd.ProcessState == nil {
		return 0
	}
	return p.cmd.ProcessState.Sys().(syscall.WaitStatus)
}
