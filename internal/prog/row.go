package prog

// Kind says where in a Value a field's content lies and how every sink shows it.
type Kind uint8

const (
	Int      Kind = iota // Num, decimal
	Uint                 // Num read as uint64, decimal
	Bool                 // Num, 0 or 1
	Text                 // Bytes, as they came: any bytes but NUL may be in them
	Words                // List, an argument vector: empty words count, a nil one is not known
	Symbols              // List, names of set flags
	Time                 // Num, nanoseconds since the Unix epoch
	Duration             // Num, nanoseconds
	Errno                // Num, a positive error number; 0 is "no error" and shows as null or nothing
)

// Value is the content of one field of one row. Null means "not known": JSON null, "-" in text.
// Bytes and List are only valid until the sink's Row method returns; sinks do not keep them.
type Value struct {
	Num   int64
	Bytes []byte
	List  [][]byte
	Null  bool
}

// Field describes one value of a row. Key is its JSON name, with the unit in it where it has one (exectime_ns).
type Field struct {
	Key  string
	Kind Kind
	Doc  string // one line, for `--fields help`
	// Extra fields are shown only when they are asked for by --fields.
	Extra bool
}

// RowType describes one kind of record once; text columns, JSON lines and later formats come from it.
type RowType struct {
	Name   string // the value of "type" in JSON
	Fields []Field
	// Columns are those of the text form, left to right. A column's Field names a Field's Key.
	Columns []Column
}

// Index returns the position of the field with that key, or -1.
func (t *RowType) Index(key string) int {
	for i := range t.Fields {
		if t.Fields[i].Key == key {
			return i
		}
	}
	return -1
}

// Row is one record as it is shown. Values run parallel to Type.Fields.
type Row struct {
	Type   *RowType
	Values []Value
}

// TimeStyle says how a column shows a Time.
type TimeStyle uint8

const (
	TimeClock    TimeStyle = iota // 15:04:05, local
	TimeFull                      // RFC 3339 with nanoseconds
	TimeRelative                  // seconds since the start of the run, three decimals
)

// Column is one column of the text form: a view of one field.
type Column struct {
	Head  string
	Field string // the Key of a Field
	Width int    // minimum width in cells; 0 for the last, open column
	Right bool   // align right
	// Style of a Time field.
	Time TimeStyle
	// Divide scales a Duration (or Int) before it is shown: 1000 shows nanoseconds as whole microseconds. 0 is 1.
	Divide int64
	// Decimals are how many digits of what Divide leaves over are shown.
	Decimals int
	// Quote puts each word of a Words field in double quotes, with `"` and `\` escaped.
	Quote bool
	// MaxWords limits how many words of a Words field are shown; what is left out is marked by " ...". 0 is no limit.
	MaxWords int
	// Mark, when set, is the key of a Bool field; where that is true " ..." is added: the value was cut before it got here.
	Mark string
	// RawErr shows an Errno field by number rather than symbol.
	RawErr bool
}

// Count is a number with its reason, in a fixed order.
type Count struct {
	Reason string
	N      uint64
}

// Summary accounts for a whole run.
type Summary struct {
	Events uint64  // records shown
	Lost   []Count // records lost, by reason; reasons that count zero may be listed
	// LossUnknown says that more may have been lost than is listed, because the programs do not count it.
	LossUnknown bool
	// KernelNS is what the programs cost in the kernel (run_time_ns summed over programs), KernelRuns how often they ran.
	// KernelKnown is false where the kernel would not switch its statistics on.
	KernelNS, KernelRuns uint64
	KernelKnown          bool
	// UserNS is the CPU time (user and system) of this process.
	UserNS uint64
	// Unwritten counts rows that could not be written (a full disk).
	Unwritten uint64
	// Notes are further facts about completeness, a sentence each.
	Notes []string
}

// LostTotal sums Lost.
func (s *Summary) LostTotal() (n uint64) {
	for _, c := range s.Lost {
		n += c.N
	}
	return n
}
