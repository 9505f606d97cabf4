package syntax

// Node is any node of the tree.
type Node interface{ Span() Span }

// Expr is any expression. After check, its type is in check.Info.
type Expr interface {
	Node
	expr()
}

// Stmt is any statement.
type Stmt interface {
	Node
	stmt()
}

// At is embedded in every node: where it stands.
type At struct{ S Span }

func (a At) Span() Span { return a.S }

// Comment is a comment of the source, kept for the printer. Text has its delimiters.
type Comment struct {
	At
	Text string
}

// Program is a whole script.
type Program struct {
	At
	Shebang  string // "#!/usr/bin/env bpftrace" without the newline, or empty
	C        *CPart // nil if there is none
	Config   *Config
	Imports  []*Import
	Decls    []Decl     // probes, macros, functions, map declarations, in order
	Comments []*Comment // in order; those inside the C part stay in its text
}

// CPart is the C preamble: preprocessor lines and struct, union and enum definitions.
type CPart struct {
	At
	Text    string   // verbatim
	Defines []Define // after the small preprocessor ran, see Preprocess
	Structs []*CStruct
	Enums   []*CEnum
	// Typedefs are in order; Structs and Enums hold what they define under a tag.
	Typedefs []CTypedef
	// Includes are those that the preprocessor did not skip: they cannot be followed, only told about.
	Includes []Include
}

// Define is an object-like macro: #define NAME VALUE. Value is nil where the text is no expression of the language.
type Define struct {
	At
	Name, Text string
	Value      Expr
}

// Include is an #include line: "x.h" or <x.h>, without the delimiters.
type Include struct {
	At
	Path string
}

// CStruct is struct or union NAME { ... }. Name is empty for an anonymous member type.
type CStruct struct {
	At
	Union  bool
	Packed bool
	Name   string
	Fields []*CField
}

// CField is one member. Its type's suffixes read left to right: int *a[2][3] is int, *, [3], [2]. C's arithmetic types
// have one spelling each, as "unsigned long"; a pointer to a function or an array is void *.
// Bits is the width of a bit field, -1 for others. Anonymous members have no Name.
type CField struct {
	At
	Name string
	Type *TypeExpr
	// Def is the definition of a struct or union that is defined in place. Type names it; without a tag Type is nil, or
	// has the tag word and no name if there are suffixes, as for struct { ... } a[2].
	Def  *CStruct
	Bits int
}

// CTypedef is typedef TYPE NAME. Def is the struct or union that is defined in place without a tag, Type is nil then.
type CTypedef struct {
	At
	Name string
	Type *TypeExpr
	Def  *CStruct
}

// CEnum is enum NAME { A, B = 3 }.
type CEnum struct {
	At
	Name  string
	Names []string
	// Values run parallel to Names.
	Values []int64
}

// Config is the config = { key = value; } block.
type Config struct {
	At
	Items []*ConfigItem
}

// ConfigItem is one setting. Value is an IntLit, StringLit, BoolLit or Ident.
type ConfigItem struct {
	At
	Key   string
	Value Expr
}

// Import is import "path";
type Import struct {
	At
	Path string
}

// Decl is a *Probe, *Macro, *Func or *MapDecl.
type Decl interface {
	Node
	decl()
}

// Probe is attach points, a predicate and a body.
type Probe struct {
	At
	Points    []*AttachPoint
	Predicate Expr // nil if there is none
	Body      *Block
}

// AttachPoint is one attach point as written. Name is the part before '=' in `name = probe`.
type AttachPoint struct {
	At
	Name string
	Text string // raw, quotes and escapes kept: "kprobe:vfs_*"
	// Parts is Text cut at the colons outside quotes, unquoted, positional parameters not yet replaced.
	Parts []string
}

// Macro is macro name($v, @m, ident) { ... }.
type Macro struct {
	At
	Name   string
	Params []Expr // *Var (by reference), *MapRef without key, or *Ident (by expression)
	Body   *Block
}

// Func is fn name($a : T) : T { ... }.
type Func struct {
	At
	Name   string
	Params []*Param
	Result *TypeExpr
	Body   *Block
}

// Param is one parameter of a Func.
type Param struct {
	At
	Name string // with its $
	Type *TypeExpr
}

// MapDecl is let @m = lruhash(1000);
type MapDecl struct {
	At
	Name string // with its @
	Kind string
	Size Expr
}

func (*Probe) decl()   {}
func (*Macro) decl()   {}
func (*Func) decl()    {}
func (*MapDecl) decl() {}

// Block is { stmts; value }. Value is the last expression without a semicolon where the block is used as an
// expression; nil otherwise.
type Block struct {
	At
	Stmts []Stmt
	Value Expr
}

// Statements.
type (
	// ExprStmt is an expression for its effect.
	ExprStmt struct {
		At
		X Expr
	}
	// Assign is target op value. Op is Assign ("=") or the binary operator of a compound assignment. Target is a *Var,
	// *MapRef, or for `_ = e` a *Ident "_". Let marks `let $x = e`; Type is its `: type`, nil if none.
	Assign struct {
		At
		Target Expr
		Op     Op // OpNone for plain =
		Value  Expr
		Let    bool
		Type   *TypeExpr
	}
	// Let is `let $x` or `let $x : type` without a value.
	Let struct {
		At
		Var  *Var
		Type *TypeExpr
	}
	// If is a statement or, inside IfExpr, a value. Else is nil, or a Block whose only statement may be another If.
	// Comptime marks `if comptime`.
	If struct {
		At
		Cond     Expr
		Then     *Block
		Else     *Block
		Comptime bool
	}
	Unroll struct {
		At
		Count Expr
		Body  *Block
	}
	While struct {
		At
		Cond Expr
		Body *Block
	}
	// ForRange is for $i : from..to { }.
	ForRange struct {
		At
		Var      *Var
		From, To Expr
		Body     *Block
	}
	// ForMap is for $kv : @m { }.
	ForMap struct {
		At
		Var  *Var
		Map  *MapRef
		Body *Block
	}
	// Jump is break, continue or return.
	Jump struct {
		At
		Kind  JumpKind
		Value Expr // of return; nil if none
	}
	// BlockStmt is a block standing alone.
	BlockStmt struct {
		At
		Body *Block
	}
)

// JumpKind tells the jumps apart.
type JumpKind uint8

const (
	Break JumpKind = iota
	Continue
	Return
)

func (*ExprStmt) stmt()  {}
func (*Assign) stmt()    {}
func (*Let) stmt()       {}
func (*If) stmt()        {}
func (*Unroll) stmt()    {}
func (*While) stmt()     {}
func (*ForRange) stmt()  {}
func (*ForMap) stmt()    {}
func (*Jump) stmt()      {}
func (*BlockStmt) stmt() {}

// Expressions.
type (
	// IntLit is an integer. Negative values come from folding only. Text is as written.
	IntLit struct {
		At
		Text  string
		Value uint64
		Neg   bool // Value is to be read as int64
	}
	StringLit struct {
		At
		Value string // escapes resolved
	}
	BoolLit struct {
		At
		Value bool
	}
	// Ident is a bare name: a builtin without parentheses, an enum constant, a macro parameter, a define.
	Ident struct {
		At
		Name string
	}
	// Var is a scratch variable; Name has its $.
	Var struct {
		At
		Name string
	}
	// Positional is $1, $2...; Count ($#) has N = 0.
	Positional struct {
		At
		N int
	}
	// MapRef is @m or @m[key]. Key is nil for a scalar; @m[a, b] has a Tuple as key. Name has its @.
	MapRef struct {
		At
		Name string
		Key  Expr
	}
	// AddrOf is &$x or &@m.
	AddrOf struct {
		At
		X Expr
	}
	Unary struct {
		At
		Op Op // OpNot OpCom OpNeg OpDeref
		X  Expr
	}
	// IncDec is ++x, x++, --x, x--.
	IncDec struct {
		At
		Dec, Prefix bool
		X           Expr
	}
	Binary struct {
		At
		Op   Op
		X, Y Expr
	}
	// Ternary is c ? a : b; Then is nil for c ?: b.
	Ternary struct {
		At
		Cond, Then, Else Expr
	}
	// Call is f(args). Args may be TypeArg for functions that take types.
	Call struct {
		At
		Func string
		Args []Expr
		Name Span // of the function's name
	}
	// TypeArg is a type where an expression stands: sizeof(struct x), macro arguments of typeof.
	TypeArg struct {
		At
		Type *TypeExpr
	}
	// Sizeof is sizeof(type) or sizeof(expr): one of the two is set. A bare name that is no type of the language, as
	// sizeof(pid_t), comes as an Ident; so it is in Offsetof, Typeinfo, typeof and the arguments of calls.
	Sizeof struct {
		At
		Type *TypeExpr
		X    Expr
	}
	// Offsetof is offsetof(type or expr, a.b).
	Offsetof struct {
		At
		Type   *TypeExpr
		X      Expr
		Fields []string
	}
	// Typeinfo is typeinfo(type or expr).
	Typeinfo struct {
		At
		Type *TypeExpr
		X    Expr
	}
	// Comptime is comptime e.
	Comptime struct {
		At
		X Expr
	}
	Cast struct {
		At
		Type *TypeExpr
		X    Expr
	}
	// Field is x.name or x->name; a tuple's index comes as TupleIndex.
	Field struct {
		At
		X     Expr
		Name  string
		Arrow bool
		// NameSpan is where the name stands.
		NameSpan Span
	}
	// TupleIndex is t.0.
	TupleIndex struct {
		At
		X     Expr
		Index int
	}
	// Index is x[i].
	Index struct {
		At
		X, I Expr
	}
	// Tuple is (a, b), (a,) or ().
	Tuple struct {
		At
		Elems []Expr
	}
	// Record is (x = 1, y = "s"); Names run parallel to Elems.
	Record struct {
		At
		Names []string
		Elems []Expr
	}
	// IfExpr is an if used as a value.
	IfExpr struct {
		At
		If *If
	}
	// BlockExpr is { stmts; e } used as a value.
	BlockExpr struct {
		At
		Body *Block
	}
)

func (*IntLit) expr()     {}
func (*StringLit) expr()  {}
func (*BoolLit) expr()    {}
func (*Ident) expr()      {}
func (*Var) expr()        {}
func (*Positional) expr() {}
func (*MapRef) expr()     {}
func (*AddrOf) expr()     {}
func (*Unary) expr()      {}
func (*IncDec) expr()     {}
func (*Binary) expr()     {}
func (*Ternary) expr()    {}
func (*Call) expr()       {}
func (*TypeArg) expr()    {}
func (*Sizeof) expr()     {}
func (*Offsetof) expr()   {}
func (*Typeinfo) expr()   {}
func (*Comptime) expr()   {}
func (*Cast) expr()       {}
func (*Field) expr()      {}
func (*TupleIndex) expr() {}
func (*Index) expr()      {}
func (*Tuple) expr()      {}
func (*Record) expr()     {}
func (*IfExpr) expr()     {}
func (*BlockExpr) expr()  {}

// TypeExpr is a type as written: a name with suffixes read left to right, or typeof(...).
type TypeExpr struct {
	At
	Tag  string // "struct", "union", "enum" or ""
	Name string // "uint64", "task_struct", "string", "unsigned long"; empty with Typeof
	// Size is the N of string[N], buffer[N], inet[N]: 0 is none given.
	Size int
	// Suffixes are '*' (Len -1), or array dimensions (Len >= 0; Open for []).
	Suffixes []TypeSuffix
	// Typeof is the argument of typeof(e), TypeofType that of typeof(type).
	Typeof     Expr
	TypeofType *TypeExpr
}

// TypeSuffix is one `*`, `[N]` or `[]`.
type TypeSuffix struct {
	Pointer bool
	Open    bool
	Len     int
}

// Op is an operator.
type Op uint8

const (
	OpNone Op = iota
	OpAdd
	OpSub
	OpMul
	OpDiv
	OpMod
	OpAnd // &
	OpOr  // |
	OpXor
	OpShl
	OpShr
	OpLAnd // &&
	OpLOr  // ||
	OpEq
	OpNe
	OpLt
	OpLe
	OpGt
	OpGe
	OpNot   // !
	OpCom   // ~
	OpNeg   // unary -
	OpDeref // unary *
)

var opText = [...]string{"", "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "&&", "||", "==", "!=", "<", "<=", ">", ">=", "!", "~", "-", "*"}

// String is the operator as written.
func (o Op) String() string { return opText[o] }
