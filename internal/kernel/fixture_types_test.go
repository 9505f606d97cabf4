package kernel

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the fixture's types are made of. Structs that are not named here are declared only, unless a named one contains them.
var (
	fixtureStructs = strings.Fields(`
		task_struct mm_struct vm_area_struct files_struct fdtable file inode dentry path qstr super_block file_system_type vfsmount
		mount nameidata filename kiocb iov_iter address_space fs_struct
		cred nsproxy uts_namespace mnt_namespace pid pid_namespace upid signal_struct sighand_struct tty_struct user_struct
		css_set cgroup cgroup_subsys_state kernfs_node mem_cgroup oom_control
		sock sock_common inet_sock tcp_sock inet_connection_sock sk_buff skb_shared_info net_device net socket msghdr request_sock
		iphdr ipv6hdr tcphdr udphdr ethhdr sockaddr sockaddr_in sockaddr_in6 sockaddr_un in6_addr in_addr unix_sock
		request request_queue gendisk block_device bio bio_vec linux_binprm pt_regs rq cfs_rq load_weight sched_entity
		bpf_perf_event_data bpf_iter_meta bpf_iter__task bpf_iter__task_file bpf_iter__task_vma seq_file bpf_iter_num bpf_pidns_info
		kernel_siginfo timespec64 __kernel_timespec rcu_head list_head hlist_node thread_info page folio module trace_entry wb_writeback_work
		trace_event_raw_sys_enter trace_event_raw_sys_exit btf_ptr clone_args open_how stat statfs tasklet_struct`)
	fixtureEnums = strings.Fields(`pid_type req_op req_opf skb_drop_reason bpf_map_type wb_reason zone_type cpu_usage_stat cgroup_subsys_id`)
	// Values of enums without a name.
	fixtureValues    = strings.Fields(`TCP_ESTABLISHED IPPROTO_TCP BPF_F_CURRENT_CPU DCACHE_REFERENCED`)
	fixtureFunctions = strings.Fields(`
		vfs_read vfs_write vfs_open vfs_fsync vfs_fsync_range vfs_create vfs_unlink vfs_statx vfs_getattr vfs_readv vfs_writev vfs_rename
		vfs_mkdir do_sys_openat2 do_filp_open tcp_connect tcp_v4_connect tcp_v6_connect tcp_close tcp_sendmsg tcp_recvmsg
		tcp_set_state tcp_retransmit_skb tcp_drop_reason tcp_rcv_established inet_csk_accept inet_listen ip_output udp_sendmsg
		d_lookup lookup_fast cap_capable oom_kill_process blk_account_io_start submit_bio submit_bio_noacct bio_endio
		skb_copy_datagram_iter unix_stream_recvmsg unix_dgram_recvmsg swap_read_folio security_file_open kernel_clone
		do_exit do_nanosleep hrtimer_nanosleep wake_up_new_task schedule ksys_read ksys_write __x64_sys_openat __x64_sys_getpgid
		bpf_iter_num_new bpf_iter_num_next bpf_iter_num_destroy bpf_rdonly_cast bpf_cast_to_kern_ctx bpf_task_from_pid bpf_task_release
		bpf_strlen bpf_strcmp bpf_strnstr bpf_strstr bpf_map_sum_elem_count bpf_rcu_read_lock bpf_rcu_read_unlock bpf_get_kmem_cache
		bpf_iter_task bpf_iter_task_file bpf_iter_task_vma bpf_task_acquire bpf_session_is_return bpf_session_cookie
		mutex_lock kmem_cache_alloc_noprof __kmalloc_noprof path_openat dput account_process_tick
		__traceiter_sched_switch __traceiter_sched_process_exec __traceiter_sched_process_fork __traceiter_sched_wakeup
		__traceiter_sys_enter __traceiter_sys_exit __traceiter_block_rq_issue __traceiter_block_rq_complete __traceiter_kfree_skb
		__traceiter_task_rename __traceiter_page_fault_user __traceiter_inet_sock_set_state`)
	fixtureTypedefs = strings.Fields(`
		pid_t uid_t gid_t size_t ssize_t loff_t umode_t dev_t sector_t gfp_t u8 u16 u32 u64 s8 s16 s32 s64 bool
		uint8_t uint16_t uint32_t uint64_t int8_t int16_t int32_t int64_t uintptr_t __u8 __u16 __u32 __u64 __s8 __s16 __s32 __s64
		__be16 __be32 __be64 __le16 __le32 __le64 time_t ktime_t kuid_t kgid_t atomic_t atomic64_t dma_addr_t blk_status_t req_flags_t
		btf_trace_sched_switch btf_trace_sched_process_exec btf_trace_sched_process_fork btf_trace_sched_process_exit
		btf_trace_sched_wakeup btf_trace_sched_wakeup_new btf_trace_sys_enter btf_trace_sys_exit btf_trace_block_rq_issue
		btf_trace_block_rq_complete btf_trace_block_io_start btf_trace_block_io_done btf_trace_kfree_skb btf_trace_task_rename
		btf_trace_tcp_retransmit_skb btf_trace_inet_sock_set_state btf_trace_page_fault_user btf_trace_softirq_entry`)
)

// typeReducer copies some of the types of b.
type typeReducer struct {
	b      *BTFTypes
	whole  map[string]bool
	ids    map[uint32]uint32 // by the old
	order  []uint32
	filled map[uint32]bool // structs with their members
}

func (r *typeReducer) visit(id uint32, value bool) {
	t := r.b.Type(id)
	if t == nil || id == 0 {
		return
	}
	grown := false
	if t.Kind == BTFStruct || t.Kind == BTFUnion {
		if (value || t.Name == "" || r.whole[t.Name]) && !r.filled[id] {
			r.filled[id], grown = true, true
		}
	}
	if _, seen := r.ids[id]; seen && !grown && t.Kind != BTFTypedef && t.Kind != BTFConst && t.Kind != BTFVolatile && t.Kind != BTFArray && t.Kind != BTFTypeTag {
		return
	} else if !seen {
		r.order = append(r.order, id)
		r.ids[id] = uint32(len(r.order))
	}
	switch t.Kind {
	case BTFPtr:
		r.visit(t.Elem, false)
	case BTFFuncProto, BTFFunc:
		r.visit(t.Elem, true)
		for _, p := range t.Params {
			r.visit(p.Type, true)
		}
	case BTFArray:
		r.visit(btfOrder.Uint32(r.b.record(id)[16:]), true)
		r.visit(t.Elem, value)
	case BTFStruct, BTFUnion:
		if grown {
			for _, m := range t.Members {
				r.visit(m.Type, true)
			}
		}
	case BTFEnum, BTFEnum64, BTFInt, BTFFloat, BTFFwd:
	default:
		r.visit(t.Elem, value)
	}
}

func (r *typeReducer) encode() []byte {
	e := newEncoder()
	name := func(text string) uint32 { return e.name([]byte(text)) }
	for _, id := range r.order {
		t, record := r.b.Type(id), r.b.record(id)
		info, word := btfOrder.Uint32(record[4:]), btfOrder.Uint32(record[8:])
		e.word(name(t.Name))
		switch t.Kind {
		case BTFInt, BTFFloat, BTFFwd:
			e.types = append(e.types, record[4:]...)
		case BTFArray:
			e.word(info)
			e.word(word)
			e.word(r.ids[t.Elem])
			e.word(r.ids[btfOrder.Uint32(record[16:])])
			e.word(uint32(t.Len))
		case BTFStruct, BTFUnion:
			if !r.filled[id] {
				union := uint32(0)
				if t.Kind == BTFUnion {
					union = 1 << 31
				}
				e.word(kindForward<<24 | union)
				e.word(0)
				continue
			}
			e.word(info)
			e.word(word)
			for i, m := range t.Members {
				e.word(name(m.Name))
				e.word(r.ids[m.Type])
				e.types = append(e.types, record[btfRecordLen+i*12+8:][:4]...)
			}
		case BTFEnum, BTFEnum64:
			e.word(info)
			e.word(word)
			each := int(tails[t.Kind].each)
			for i, v := range t.Values {
				e.word(name(v.Name))
				e.types = append(e.types, record[btfRecordLen+i*each+4:][:each-4]...)
			}
		case BTFFuncProto:
			e.word(info)
			e.word(r.ids[t.Elem])
			for _, p := range t.Params {
				e.word(name(p.Name))
				e.word(r.ids[p.Type])
			}
		default:
			e.word(info)
			e.word(r.ids[t.Elem])
		}
	}
	return e.blob()
}

// reduceTypes copies what the fixture needs.
func reduceTypes(t *testing.T, b *BTFTypes) []byte {
	t.Helper()
	r := &typeReducer{b: b, whole: map[string]bool{}, ids: map[uint32]uint32{}, filled: map[uint32]bool{}}
	for _, name := range fixtureStructs {
		r.whole[name] = true
	}
	add := func(kind BTFKind, names []string) {
		for _, name := range names {
			if id, ok := b.Find(kind, name); ok {
				r.visit(id, true)
			} else {
				t.Logf("there is no %q of kind %d", name, kind)
			}
		}
	}
	for i, kind := range b.kinds {
		if kind == kindInt {
			r.visit(b.firstID+uint32(i), true)
		}
	}
	add(BTFStruct, fixtureStructs)
	add(BTFEnum, fixtureEnums)
	add(BTFTypedef, fixtureTypedefs)
	add(BTFFunc, fixtureFunctions)
	for _, name := range fixtureValues {
		if id, _, ok := b.EnumValue(name); ok {
			r.visit(id, true)
		}
	}
	return r.encode()
}

const (
	fixtureTypesFile   = "testdata/fixture-types.btf.gz"
	fixtureFormatsFile = "testdata/fixture-formats.txt.gz"
)

// fixtureGroups are the groups whose tracepoints the fixture has.
var fixtureGroups = strings.Fields(`
	alarmtimer block cgroup compaction cpuhp error_report exceptions ext4 fib filelock filemap huge_memory icmp io_uring iomap ipi irq
	kmem lock migrate mmap mmap_lock module napi neigh net netlink notifier oom pagemap percpu power printk qdisc raw_syscalls rcu
	sched signal skb sock syscalls task tcp timer udp vmscan workqueue writeback xdp xfs`)

func writePacked(t *testing.T, file string, raw []byte) {
	t.Helper()
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d bytes, packed %d", file, len(raw), packed.Len())
	if err := os.WriteFile(file, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestFixtureTypes checks what NewFixture shows of a kernel's types. It writes them, from the kernel at hand, when
// SONDE_UPDATE_FIXTURES is set.
func TestFixtureTypes(t *testing.T) {
	if os.Getenv("SONDE_UPDATE_FIXTURES") != "" {
		b, err := OpenBTF(VmlinuxBTF)
		if err != nil {
			t.Fatal(err)
		}
		writePacked(t, fixtureTypesFile, reduceTypes(t, b))
		return // the new one is built into the next run
	}
	raw := unpack(packedTypes)
	b, err := ParseBTF(raw)
	if err != nil {
		t.Fatal(err)
	}
	for id := range b.Count() {
		if b.Type(uint32(id)) == nil {
			t.Errorf("type %d is damaged", id)
		}
	}
	if _, err := loadRaw(raw); err != nil {
		t.Errorf("the library does not take it: %v", err)
	}
	id, ok := b.Find(BTFStruct, "task_struct")
	if m, found := b.Field(id, "real_parent"); !ok || !found || b.Resolve(m.Type).Kind != BTFPtr {
		t.Error("task_struct.real_parent is not a pointer")
	}
	if got := b.FunctionNames("vfs_rea*"); !slices.Equal(got, []string{"vfs_read", "vfs_readv"}) {
		t.Errorf("vfs_rea*: %v", got)
	}
}

// TestFixtureFormats checks that every format can be read. It writes them, from the kernel at hand, when
// SONDE_UPDATE_FIXTURES is set.
func TestFixtureFormats(t *testing.T) {
	if os.Getenv("SONDE_UPDATE_FIXTURES") != "" {
		dir, err := TracefsDir()
		if err != nil {
			t.Fatal(err)
		}
		var all bytes.Buffer
		for _, group := range fixtureGroups {
			files, err := filepath.Glob(filepath.Join(dir, "events", group, "*", "format"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				all.WriteString("## " + group + "\n")
				all.Write(text)
			}
		}
		writePacked(t, fixtureFormatsFile, all.Bytes())
		return
	}
	f := NewFixture()
	if len(f.Formats) < 1000 {
		t.Errorf("only %d formats", len(f.Formats))
	}
	for name := range f.Formats {
		group, event, _ := strings.Cut(name, ":")
		format, err := f.Tracepoint(group, event)
		if err != nil {
			t.Error(err)
			continue
		}
		checkFormat(t, format)
	}
}

// checkFormat holds what is true of all formats: fields lie one after the other and have names and types.
func checkFormat(t *testing.T, f *TracepointFormat) {
	t.Helper()
	end := 0
	for _, field := range f.Fields {
		if field.Name == "" || field.Type == "" || field.Offset < 0 || field.Size < 0 || field.Array < 0 {
			t.Errorf("%s:%s: %+v", f.Group, f.Name, field)
		}
		if field.Offset < end {
			t.Errorf("%s:%s: %s begins in the field before it", f.Group, f.Name, field.Name)
		}
		end = field.Offset + field.Size
	}
}
