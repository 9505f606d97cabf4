package target

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"sonde/internal/prog"
)

// spec is as a tool makes it from an object that includes bpf/target.bpf.h.
func spec() *prog.Spec {
	s := &prog.Spec{Name: "test", Collection: &ebpf.CollectionSpec{
		Maps:      map[string]*ebpf.MapSpec{},
		Programs:  map[string]*ebpf.ProgramSpec{"tool": {}, "target_fork": {}, "target_exit": {}},
		Variables: map[string]*ebpf.VariableSpec{},
	}}
	for _, name := range []string{"target_pids", "target_tree", "target_cgroups", "cgroupmap", "mntnsmap"} {
		s.Collection.Maps[name] = &ebpf.MapSpec{Name: name, MaxEntries: 1024}
	}
	for _, name := range []string{"target_mode", "target_uid", "target_ppid", "target_self", "target_cgroup_count"} {
		s.Collection.Variables[name] = &ebpf.VariableSpec{Name: name, Value: make([]byte, 4)}
	}
	s.Collection.Variables["target_live"] = &ebpf.VariableSpec{Name: "target_live", Value: make([]byte, 8)}
	s.Probes = []prog.Probe{{Program: "tool"}, {Program: "target_fork"}, {Program: "target_exit"}}
	s.Fill = []prog.MapFill{{Map: "other"}}
	return s
}

func TestApply(t *testing.T) {
	type outcome struct {
		Mode, UID, PPID, Self, Cgroups uint32
		Live                           uint64
		Fill                           []prog.MapFill
		Pins                           map[string]string
		Entries                        map[string]uint32
		Probes, Programs               int
	}
	other := prog.MapFill{Map: "other"}
	self := uint32(os.Getpid())
	for _, tc := range []struct {
		name string
		in   Target
		want outcome
	}{
		{
			"no target", Target{mode: modeNotSelf},
			outcome{Mode: 128, Self: self, Fill: []prog.MapFill{other}, Probes: 1, Programs: 1,
				Entries: map[string]uint32{"target_pids": 1, "target_tree": 1, "target_cgroups": 1024, "cgroupmap": 1, "mntnsmap": 1}},
		},
		{
			"everything",
			Target{
				mode: modeUID | modePPID | modePID | modeTree | modeCgroup | modeCgroupMap | modeMntnsMap | modeNotSelf | modeTreeEnds,
				uid:  1000, ppid: 7, pids: []uint32{8, 9}, roots: []uint32{10}, child: 11, cgroups: []string{"/c", "/d"},
				mntns: []uint64{12}, pins: map[string]string{"cgroupmap": "/pin"}, command: []string{"x"},
			},
			outcome{Mode: 511, UID: 1000, PPID: 7, Self: self, Cgroups: 2, Live: 2,
				Fill: []prog.MapFill{other,
					{Map: "target_pids", Key: uint32(8), Value: uint8(1)}, {Map: "target_pids", Key: uint32(9), Value: uint8(1)},
					{Map: "target_tree", Key: uint32(10), Value: uint8(1)}, {Map: "target_tree", Key: uint32(11), Value: uint8(1)},
					{Map: "target_cgroups", Key: uint32(0), Value: prog.CgroupPath("/c")},
					{Map: "target_cgroups", Key: uint32(1), Value: prog.CgroupPath("/d")},
					{Map: "mntnsmap", Key: uint64(12), Value: uint64(1)}},
				Pins:   map[string]string{"cgroupmap": "/pin"},
				Probes: 3, Programs: 3,
				Entries: map[string]uint32{"target_pids": 2, "target_tree": 1024, "target_cgroups": 1024, "cgroupmap": 1024, "mntnsmap": 1}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := spec()
			if err := tc.in.Apply(s); err != nil {
				t.Fatal(err)
			}
			got := outcome{Fill: s.Fill, Pins: s.Pins, Probes: len(s.Probes), Programs: len(s.Collection.Programs),
				Entries: map[string]uint32{}}
			for name, m := range s.Collection.Maps {
				got.Entries[name] = m.MaxEntries
			}
			for name, to := range map[string]any{"target_mode": &got.Mode, "target_uid": &got.UID, "target_ppid": &got.PPID,
				"target_self": &got.Self, "target_cgroup_count": &got.Cgroups, "target_live": &got.Live} {
				if err := s.Collection.Variables[name].Get(to); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestApplyErrors(t *testing.T) {
	for _, tc := range []struct {
		name  string
		in    Target
		spoil func(*prog.Spec)
		want  string
	}{
		{"not started", Target{command: []string{"x"}}, func(*prog.Spec) {}, "not started"},
		{"no mode", Target{}, func(s *prog.Spec) { delete(s.Collection.Variables, "target_mode") }, "no variable target_mode"},
		{"no live", Target{mode: modeTree}, func(s *prog.Spec) { delete(s.Collection.Variables, "target_live") }, "no variable target_live"},
		{"wrong size", Target{}, func(s *prog.Spec) { s.Collection.Variables["target_mode"].Value = make([]byte, 2) }, "target_mode"},
		{"no fork", Target{mode: modeTree}, func(s *prog.Spec) { delete(s.Collection.Programs, "target_fork") }, "no program target_fork"},
		{"no map", Target{pids: []uint32{1}}, func(s *prog.Spec) { delete(s.Collection.Maps, "target_pids") }, "no map target_pids"},
		{"no pin map", Target{pins: map[string]string{"cgroupmap": "/x"}}, func(s *prog.Spec) { delete(s.Collection.Maps, "cgroupmap") }, "no map cgroupmap"},
	} {
		s := spec()
		tc.spoil(s)
		if err := tc.in.Apply(s); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.want)
		}
	}
}

// A spec without target_self is one whose programs cannot leave this process out.
func TestApplyWithoutSelf(t *testing.T) {
	s := spec()
	delete(s.Collection.Variables, "target_self")
	if err := (&Target{mode: modeNotSelf | modeUID}).Apply(s); err != nil {
		t.Fatal(err)
	}
	var mode uint32
	if err := s.Collection.Variables["target_mode"].Get(&mode); err != nil || mode != 1 {
		t.Errorf("mode %d, %v", mode, err)
	}
}

func TestMatchComm(t *testing.T) {
	all, some := &Target{}, &Target{comm: regexp.MustCompile(`^ba?sh$`)}
	for _, tc := range []struct {
		t    *Target
		comm string
		want bool
	}{
		{all, "anything", true}, {all, "", true},
		{some, "sh", false}, {some, "bsh", true}, {some, "bash", true}, {some, "bash\x00rest", true}, {some, "bashful", false},
	} {
		if got := tc.t.MatchComm([]byte(tc.comm)); got != tc.want {
			t.Errorf("%q: %v", tc.comm, got)
		}
	}
}
