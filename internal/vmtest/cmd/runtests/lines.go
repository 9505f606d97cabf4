package main

import (
	"bytes"
	"io"
	"sync"
)

// shared is an output that several writers write whole lines to.
type shared struct {
	mu sync.Mutex
	w  io.Writer
}

// lines returns a writer that puts prefix before each line.
func (s *shared) lines(prefix string) *lines { return &lines{to: s, prefix: prefix} }

// lines passes on whole lines as they become complete. It may be used by several goroutines.
type lines struct {
	to     *shared
	prefix string
	mu     sync.Mutex
	part   []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		at := bytes.IndexByte(l.part, '\n')
		if at < 0 {
			return len(p), nil
		}
		l.to.line(l.prefix, l.part[:at])
		l.part = l.part[at+1:]
	}
}

// flush passes on what is left of a line that never ended.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.part) > 0 {
		l.to.line(l.prefix, l.part)
		l.part = nil
	}
}

func (s *shared) line(prefix string, line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.w.Write(append(append([]byte(prefix), line...), '\n'))
}
