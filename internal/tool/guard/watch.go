package guard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Of the Watcher: quiet is how long it waits for a change to be over, latest how long at the most.
const (
	watchQuiet  = 100 * time.Millisecond
	watchLatest = time.Second
)

// Watcher tells when rules should be read and resolved again: when their file was written or replaced, and when a name
// changed that leads to what they are about. It watches directories, so that a file that an editor renames into place is
// seen too.
type Watcher struct {
	env     Env
	inotify *os.File // non-blocking: Close ends a Read
	fd      int      // of inotify, whose own Fd would make it blocking
	changes chan string
	events  chan string
	done    chan struct{}
	once    sync.Once
	ended   sync.WaitGroup

	mounts, wake int // the table of mounts, and an eventfd that ends its poll; -1: not watched

	mu     sync.Mutex
	armed  *Armed
	dirs   map[int32]*watchedDir // by watch descriptor
	closed bool
}

type watchedDir struct {
	path  string
	all   bool // names do not matter
	names map[string]bool
	file  string // the rule file's name, if it is in here
}

// Watch watches what a, armed in env, depends on. Without inotify the error says what to do. What cannot be watched for other
// reasons is added to a's notes.
func Watch(a *Armed, env Env) (*Watcher, error) {
	if env.Proc == "" {
		env.Proc = "/proc"
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("changes of rules cannot be watched: %w; send SIGHUP after each, or raise fs.inotify.max_user_instances", err)
	}
	w := &Watcher{
		env: env, inotify: os.NewFile(uintptr(fd), "inotify"), fd: fd, changes: make(chan string), events: make(chan string, 1),
		done: make(chan struct{}), dirs: make(map[int32]*watchedDir),
	}
	w.ended.Add(2)
	go w.settle()
	go w.read()
	w.watchMounts()
	if err := w.Update(a); err != nil {
		a.Notes = append(a.Notes, err.Error())
	}
	return w, nil
}

// Changes tells what changed; of several at once the last, but the rule file before all. It is closed by Close.
func (w *Watcher) Changes() <-chan string { return w.changes }

// Close ends the watch.
func (w *Watcher) Close() (err error) {
	w.once.Do(func() {
		w.mu.Lock()
		close(w.done)
		err = w.inotify.Close()
		w.closed = true
		w.mu.Unlock()
		w.endMounts()
		w.ended.Wait()
		w.closeMounts()
	})
	return err
}

// Update watches for what a depends on, in place of what was watched before. What changed since a was armed is told. The
// error is that part of it cannot be watched; the rest is.
func (w *Watcher) Update(a *Armed) error {
	walker, err := newWalker(&identities{proc: w.env.Proc}, w.env.Root)
	if err != nil {
		return err
	}
	defer walker.close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return os.ErrClosed
	}
	w.armed = a
	old := w.dirs
	w.dirs = make(map[int32]*watchedDir)
	var failed error
	others := 0
	keep := func(err error) {
		if failed == nil {
			failed = err
		} else if err != nil {
			others++
		}
	}
	if a.File != "" {
		keep(w.addFile(walker, a.File))
	}
	for _, dir := range a.Watch {
		keep(w.add(walker, dir, a.WatchFor[dir], a.WatchFor[dir] == nil, ""))
	}
	w.compareMounts()
	if others > 0 {
		failed = fmt.Errorf("%w (and %d others)", failed, others)
	}
	for wd := range old {
		if w.dirs[wd] == nil {
			_, _ = unix.InotifyRmWatch(w.fd, uint32(wd)) // it may be gone already
		}
	}
	return failed
}

// addFile watches the rule file by its own directory and, if it is a link, by those that it leads through.
func (w *Watcher) addFile(walker *walker, name string) error {
	f, err := walker.walk(name)
	if err != nil {
		return fmt.Errorf("the rule file cannot be watched: %w; send SIGHUP after a change", err)
	}
	defer f.close()
	for i, s := range f.steps {
		file := ""
		if i == len(f.steps)-1 || s.link {
			file = s.name
		}
		if err := w.add(walker, s.path, map[string]Object{s.name: s.obj}, false, file); err != nil {
			return err
		}
	}
	return nil
}

const (
	watchNames   = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	watchContent = unix.IN_CLOSE_WRITE
)

// add watches a directory for names, or for all, and for the content of file in it. The path has no links in it; one that has
// come since is not followed.
func (w *Watcher) add(walker *walker, dir string, names map[string]Object, all bool, file string) error {
	fd, err := walker.plain(dir)
	if err != nil {
		if gone(err) || errors.Is(err, unix.ELOOP) {
			w.tell(dir) // the directory that it was in is watched too, but only now
			return nil
		}
		return fmt.Errorf("%s cannot be watched: %w; send SIGHUP after a change of what is in it", dir, err)
	}
	defer unix.Close(fd)
	mask := uint32(watchNames | unix.IN_MASK_ADD)
	if file != "" {
		mask |= watchContent
	}
	// The name in /proc is this very descriptor, wherever the path leads by now.
	wd, err := unix.InotifyAddWatch(w.fd, w.env.Proc+"/self/fd/"+strconv.Itoa(fd), mask)
	if err != nil {
		return fmt.Errorf("%s cannot be watched: %w; send SIGHUP after changes, or raise fs.inotify.max_user_watches", dir, err)
	}
	d := w.dirs[int32(wd)]
	if d == nil {
		d = &watchedDir{path: dir, names: make(map[string]bool)}
		w.dirs[int32(wd)] = d
	}
	d.all = d.all || all
	if file != "" {
		d.file = file
	}
	for name := range names {
		d.names[name] = true
	}
	w.compare(walker, fd, dir, names)
	return nil
}

// compare tells of names in the directory fd that are not what they were.
func (w *Watcher) compare(walker *walker, fd int, dir string, names map[string]Object) {
	for name, was := range names {
		if is, err := walker.ids.of(fd, name); err == nil && is.Object != was || err != nil && was != (Object{}) {
			w.tell(path.Join(dir, name))
		}
	}
}

// tell passes on that something changed. One that waits already says enough, but that the rule file did is what people look
// for.
func (w *Watcher) tell(what string) {
	select {
	case w.events <- what:
	default:
	}
}

// plain opens a directory by a path without links.
func (w *walker) plain(dir string) (int, error) {
	at, err := w.root.dup()
	if err != nil {
		return -1, err
	}
	fd := at.fd
	for _, name := range names(dir) {
		next, err := unix.Openat(fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
		fd = next
	}
	return fd, nil
}

// settle waits until changes pause, and tells them as one.
func (w *Watcher) settle() {
	defer w.ended.Done()
	defer close(w.changes)
	timer := time.NewTimer(0)
	<-timer.C
	defer timer.Stop()
	var (
		what  string      // has changed, "": nothing
		since time.Time   // the first of these changes
		out   chan string // nil until they pause
	)
	for {
		select {
		case latest := <-w.events:
			if what == "" {
				since = time.Now()
			}
			if !strings.HasPrefix(what, fileChanged) {
				what = latest
			}
			out = nil
			timer.Reset(min(watchQuiet, max(0, watchLatest-time.Since(since))))
		case <-timer.C:
			out = w.changes
		case out <- what:
			what, out = "", nil
		case <-w.done:
			return
		}
	}
}

// fileChanged begins what is told of the rule file.
const fileChanged = "the rule file "

// read turns what inotify tells into changes that matter.
func (w *Watcher) read() {
	defer w.ended.Done()
	buf := make([]byte, 64<<10)
	for {
		n, err := w.inotify.Read(buf)
		if err != nil {
			return
		}
		for _, what := range w.changed(buf[:n]) {
			select {
			case w.events <- what:
			case <-w.done:
				return
			}
		}
	}
}

// changed reads struct inotify_event: wd, mask, cookie, len, name.
func (w *Watcher) changed(buf []byte) (what []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(buf) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(buf))
		mask := binary.NativeEndian.Uint32(buf[4:])
		size := uint64(binary.NativeEndian.Uint32(buf[12:]))
		buf = buf[unix.SizeofInotifyEvent:]
		if size > uint64(len(buf)) {
			break
		}
		text, _, _ := bytes.Cut(buf[:size], []byte{0})
		name := string(text)
		buf = buf[size:]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			what = append(what, "more than was counted")
			continue
		}
		d := w.dirs[wd]
		if d == nil || mask&unix.IN_IGNORED != 0 {
			continue
		}
		switch {
		case d.file != "" && name == d.file:
			if mask&(unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO) != 0 {
				what = append(what, fileChanged+path.Join(d.path, name))
			}
		case mask&watchNames != 0 && (name == "" || d.all || d.names[name]):
			what = append(what, path.Join(d.path, name))
		}
	}
	return what
}
