package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type frame struct {
	Job  int
	Data string
}

func frames(t testing.TB, list ...frame) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, f := range list {
		if err := WriteFrame(&b, f.Job, []byte(f.Data)); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func collect(b []byte, jobs int) (got []frame, err error) {
	err = ReadFrames(bytes.NewReader(b), jobs, func(job int, data []byte) { got = append(got, frame{job, string(data)}) })
	return got, err
}

func TestFrames(t *testing.T) {
	want := []frame{{0, "text\n"}, {1, ""}, {0, "\x00\xff"}, {2, strings.Repeat("x", MaxFrame)}}
	got, err := collect(frames(t, want...), 3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFramesBroken(t *testing.T) {
	whole := frames(t, frame{0, "first"}, frame{0, "second"})
	for cut := range len(whole) {
		got, err := collect(whole[:cut], 1)
		boundary := cut == 0 || cut == headerLen+len("first")
		if (err == nil) != boundary {
			t.Errorf("cut at %d: %v", cut, err)
		}
		text := ""
		for _, f := range got {
			text += f.Data
		}
		if !strings.HasPrefix("firstsecond", text) {
			t.Errorf("cut at %d: delivered %q", cut, text)
		}
	}
	if got, err := collect(whole[:len(whole)-2], 1); err == nil || got[1].Data != "seco" {
		t.Errorf("the part of a frame that came was not delivered: %v %v", got, err)
	}
	for name, b := range map[string][]byte{
		"unknown job": frames(t, frame{3, "x"}),
		"too long":    {0, 0, 0, 0, 1, 0, 1, 0},
		"text":        []byte("Kernel panic - not syncing"),
	} {
		if _, err := collect(b, 3); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseStatus(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Status
	}{
		{"nothing", "", Status{Exits: map[int]Exit{}}},
		{
			"all", ReadyLine("6.1.0-50-cloud-amd64") + StartLine(0) + ExitLine(0, Exit{Code: 3}) + StartLine(1) + ExitLine(1, Exit{Signal: 9}) + DoneLine(),
			Status{"6.1.0-50-cloud-amd64", []int{0, 1}, map[int]Exit{0: {Code: 3}, 1: {Signal: 9}}, true},
		},
		{"died while writing", "ready 6.1\nstart 0\nexit 0 0", Status{"6.1", []int{0}, map[int]Exit{}, false}},
		{"not ours", "exit x 0 0\nexit 1\nstart\n\nready a b\n", Status{Exits: map[int]Exit{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ParseStatus(tt.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlan(t *testing.T) {
	want := Plan{"guest", []Job{{Args: []string{"/bin/sh", "-c", "echo 'ä\n'"}, Dir: "/tmp", Env: []string{"A=b"}}, {Args: []string{"x"}}}}
	text, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadPlan(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "{", `{"Jobs":[{}]}`} {
		if _, err := ReadPlan([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzReadFrames(f *testing.F) {
	f.Add(frames(f, frame{0, "text"}, frame{1, ""}))
	f.Add([]byte{0, 0, 0, 0, 1, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		_ = ReadFrames(bytes.NewReader(b), 2, func(job int, data []byte) {
			if job < 0 || job > 1 {
				t.Errorf("job %d", job)
			}
			total += len(data)
		})
		if total > len(b) {
			t.Errorf("%d bytes out of %d", total, len(b))
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	f.Add("ready 6.1\nstart 0\nexit 0 1 9\ndone\n")
	f.Fuzz(func(_ *testing.T, text string) { ParseStatus(text) })
}
