package proc

import (
	"io"
	"strconv"

	"sonde/internal/print"
)

// WriteTimeline writes the run in the JSON form of the Trace Event Format, which Chrome's about:tracing and Perfetto open: a track
// for each process, and on it a slice for what it was from one exec to the next.
func (h *History) WriteTimeline(w io.Writer) error {
	h.finish()
	t := timeline{w: w, first: h.first, page: h.page, ids: make(map[uint32]uint64)}
	for _, p := range h.all {
		t.first = min(t.first, p.start)
	}
	t.write([]byte(`{"displayTimeUnit":"ms","traceEvents":[`))
	for i, p := range h.all {
		t.process(i, p)
	}
	t.write([]byte("\n]}\n"))
	return t.err
}

type timeline struct {
	w     io.Writer
	first uint64
	page  uint64
	some  bool              // events are written
	ids   map[uint32]uint64 // process ids that a track has: how many
	buf   []byte
	err   error
}

// reused is above all process ids: a track whose id was another's before gets so much more.
const reused = 1 << 22

func (t *timeline) process(i int, p *process) {
	id := uint64(p.pid) + t.ids[p.pid]*reused
	t.ids[p.pid]++
	name := p.now().name
	for _, m := range []struct{ what, key, text string }{
		{"process_name", "name", name}, {"thread_name", "name", name}, {"process_sort_index", "sort_index", ""},
	} {
		t.begin(m.what, "M", id)
		t.buf = append(append(t.buf, `,"args":{"`...), m.key...)
		t.buf = append(t.buf, `":`...)
		if m.text == "" && m.key != "name" {
			t.buf = strconv.AppendInt(t.buf, int64(i), 10)
		} else {
			t.buf = print.AppendJSON(t.buf, []byte(m.text))
		}
		t.close()
	}
	for n := range p.images {
		im := &p.images[n]
		until := p.end
		last := n == len(p.images)-1
		if !last {
			until = p.images[n+1].at
		}
		t.begin(im.name, "X", id)
		t.buf = append(t.buf, `,"cat":"process","ts":`...)
		t.buf = appendMicros(t.buf, im.at-t.first)
		t.buf = append(t.buf, `,"dur":`...)
		took := max(until, im.at) - im.at
		if !last && took > 0 {
			took-- // readers add up in floating point: what ends where the next begins would overlap it, now and then
		}
		t.buf = appendMicros(t.buf, took)
		t.buf = append(t.buf, `,"args":{"pid":`...)
		t.buf = strconv.AppendUint(t.buf, uint64(p.pid), 10)
		t.buf = strconv.AppendUint(append(t.buf, `,"ppid":`...), uint64(p.ppid), 10)
		if im.fork {
			t.buf = append(t.buf, `,"fork":true`...)
		} else {
			t.buf = append(t.buf, `,"argv":[`...)
			for i, word := range appendWords(nil, im.args) {
				if i > 0 {
					t.buf = append(t.buf, ',')
				}
				t.buf = print.AppendJSON(t.buf, word)
			}
			t.buf = append(t.buf, ']')
		}
		if last {
			t.end(p)
		}
		t.close()
	}
}

// end adds how the process ended, and what it has used.
func (t *timeline) end(p *process) {
	t.buf = append(t.buf, `,"end":`...)
	t.buf = print.AppendJSON(t.buf, appendEnd(nil, p))
	if p.ended && p.how.usage() {
		t.buf = append(t.buf, `,"cpu_ms":`...)
		t.buf = appendMicros(t.buf, p.how.cpu/1000)
		t.buf = strconv.AppendUint(append(t.buf, `,"max_rss_bytes":`...), p.how.maxRSS*t.page, 10)
	}
}

func (t *timeline) begin(name, phase string, id uint64) {
	t.buf = t.buf[:0]
	if t.some {
		t.buf = append(t.buf, ',')
	}
	t.some = true
	t.buf = append(t.buf, "\n{\"name\":"...)
	t.buf = print.AppendJSON(t.buf, []byte(name))
	t.buf = append(append(append(t.buf, `,"ph":"`...), phase...), `","pid":`...)
	t.buf = strconv.AppendUint(t.buf, id, 10)
	t.buf = strconv.AppendUint(append(t.buf, `,"tid":`...), id, 10)
}

func (t *timeline) close() {
	t.buf = append(t.buf, "}}"...)
	t.write(t.buf)
}

func (t *timeline) write(b []byte) {
	if t.err == nil {
		_, t.err = t.w.Write(b)
	}
}

// appendMicros appends nanoseconds as microseconds, the unit of the format, with three decimals.
func appendMicros(to []byte, ns uint64) []byte {
	to = append(strconv.AppendUint(to, ns/1000, 10), '.')
	rest := ns % 1000
	return append(to, '0'+byte(rest/100), '0'+byte(rest/10%10), '0'+byte(rest%10))
}
