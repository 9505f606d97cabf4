package kernel

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSignature(t *testing.T) {
	b := fixtureTypes()
	for _, tt := range []struct {
		kind BTFKind
		name string
		want string
	}{
		{BTFFunc, "vfs_read", "ssize_t vfs_read(struct file *file, char *buf, size_t count, loff_t *pos)"},
		{BTFFunc, "schedule", "void schedule(void)"},
		{BTFStruct, "path", "struct path {\n\tstruct vfsmount *mnt;\n\tstruct dentry *dentry;\n};"},
		{BTFStruct, "qstr", "struct qstr {\n\tunion {\n\t\tstruct {\n\t\t\tu32 hash;\n\t\t\tu32 len;\n\t\t};\n\t\tu64 hash_len;\n\t};\n\tconst unsigned char *name;\n};"},
		{BTFStruct, "tasklet_struct", "struct tasklet_struct {\n\tstruct tasklet_struct *next;\n\tlong unsigned int state;\n\tatomic_t count;\n" +
			"\tbool use_callback;\n\tunion {\n\t\tvoid (*func)(long unsigned int);\n\t\tvoid (*callback)(struct tasklet_struct *);\n\t};\n" +
			"\tlong unsigned int data;\n};"},
		{BTFEnum, "pid_type", "enum pid_type {\n\tPIDTYPE_PID = 0,\n\tPIDTYPE_TGID = 1,\n\tPIDTYPE_PGID = 2,\n\tPIDTYPE_SID = 3,\n\tPIDTYPE_MAX = 4,\n};"},
		{BTFTypedef, "pid_t", "typedef __kernel_pid_t pid_t;"},
		{BTFInt, "long unsigned int", "long unsigned int"},
		{BTFTypedef, "btf_trace_sys_enter", "typedef void (*btf_trace_sys_enter)(void *, struct pt_regs *, long int);"},
	} {
		id, ok := b.Find(tt.kind, tt.name)
		if !ok {
			t.Errorf("there is no %s", tt.name)
			continue
		}
		if diff := cmp.Diff(tt.want, b.Signature(id)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
	if got := b.Signature(1 << 30); got != "" {
		t.Errorf("a type that is not there: %q", got)
	}
}

func TestDeclare(t *testing.T) {
	b := fixtureTypes()
	task, _ := b.Find(BTFStruct, "task_struct")
	for member, want := range map[string]string{
		"comm": "char comm[16]", "real_parent": "struct task_struct *real_parent", "cpus_ptr": "const cpumask_t *cpus_ptr",
		"pid": "pid_t pid", "children": "struct list_head children",
	} {
		m, ok := b.Field(task, member)
		if got := b.Declare(m.Type, member); !ok || got != want {
			t.Errorf("%s: got %q, want %q", member, got, want)
		}
	}
	m, _ := b.Field(task, "comm")
	if got := b.TypeName(m.Type); got != "char[16]" {
		t.Errorf("the type of comm: %q", got)
	}
}

// TestSignatureCircle writes types that contain themselves, which no compiler makes.
func TestSignatureCircle(t *testing.T) {
	e := newEncoder()
	record := func(name string, info, word uint32, tail ...uint32) {
		e.word(e.name([]byte(name)))
		e.word(info)
		e.word(word)
		for _, w := range tail {
			e.word(w)
		}
	}
	record("a", kindTypedef<<24, 1)                                     // 1
	record("", kindPointer<<24, 2)                                      // 2
	record("", kindStruct<<24|3, 8, 0, 3, 0, 0, 3, 0, 0, 3, 0)          // 3
	record("f", kindFunc<<24, 5)                                        // 4
	record("", kindFuncProto<<24|2, 5, e.name([]byte("x")), 5, 0, 5)    // 5
	record("", kindArray<<24, 0, 6, 6, 1<<30)                           // 6
	record("deep", kindStruct<<24|1, 8, e.name([]byte("member")), 3, 0) // 7
	b, err := ParseBTF(e.blob())
	if err != nil {
		t.Fatal(err)
	}
	for id := range b.Count() {
		if got := b.Signature(uint32(id)); len(got) > 4<<20 || id > 0 && got == "" {
			t.Errorf("type %d: %d bytes", id, len(got))
		}
		b.Sizeof(uint32(id))
		b.Field(uint32(id), "none")
	}
	if got := b.Signature(1); !strings.HasPrefix(got, "typedef") {
		t.Errorf("type 1: %s", got)
	}
}
