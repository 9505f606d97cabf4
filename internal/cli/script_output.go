package cli

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"time"

	"sonde/internal/print"
)

// What -B may be. Without it the output is written whenever no more records wait.
const (
	bufferLine = "line"
	bufferFull = "full"
	bufferNone = "none"
)

// scriptOutput is where a script writes to, with the manners of -B.
type scriptOutput struct {
	*print.Output
	mode string
}

// Write takes the text of one record.
func (o *scriptOutput) Write(p []byte) (int, error) {
	n, err := o.Output.Write(p)
	if err == nil && (o.mode == bufferNone || o.mode == bufferLine && bytes.IndexByte(p, '\n') >= 0) {
		err = o.Flush()
	}
	return n, err
}

// eager says that what is held back goes out when nothing more waits.
func (o *scriptOutput) eager() bool { return o.mode == "" }

func (s *script) openOutput() error {
	s.out = &scriptOutput{mode: s.flags.buffering}
	if s.flags.file == "" {
		s.out.Output = print.NewOutput(s.io.out)
		return nil
	}
	file, err := print.OpenOutput(s.flags.file)
	if err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	s.out.Output = file
	return nil
}

// progress shows on a terminal how far something is that may take long. It is nil, and does nothing, elsewhere.
type progress struct {
	mu    sync.Mutex
	to    *os.File
	shown bool
	last  time.Time
}

// What is worth a line, and how often it changes.
const (
	manyProbes    = 500
	progressEvery = 100 * time.Millisecond
	slowDetach    = 300 * time.Millisecond
)

func (s *script) newProgress() *progress {
	if s.flags.quiet || terminalWidth(s.io.err) == 0 || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &progress{to: s.io.err}
}

// attaching is attach.Session.Progress.
func (p *progress) attaching(done, total int) {
	if p == nil || total < manyProbes || time.Since(p.last) < progressEvery {
		return
	}
	p.last = time.Now()
	p.show(fmt.Sprintf("attaching: %d of %d probes", done, total))
}

func (p *progress) show(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = true
	fmt.Fprintf(p.to, "\r%s\x1b[K", text)
}

// slowly shows a text if what follows takes long; the function it returns takes it away.
func (p *progress) slowly(text string) (done func()) {
	if p == nil {
		return func() {}
	}
	timer := time.AfterFunc(slowDetach, func() { p.show(text) })
	return func() {
		timer.Stop()
		p.clear()
	}
}

func (p *progress) clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.to, "\r\x1b[K")
		p.shown = false
	}
}
