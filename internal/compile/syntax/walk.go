package syntax

// Walk calls f for a node and, while f returns true, for all below it, in the order of the source.
func Walk(n Node, f func(Node) bool) {
	if !isNil(n) && f(n) {
		eachChild(n, func(c Node) { Walk(c, f) })
	}
}

// isNil tells whether a node is missing, be it as a nil interface or as a nil pointer in one.
func isNil(n Node) bool {
	switch n := n.(type) {
	case nil:
		return true
	case *CPart:
		return n == nil
	case *Config:
		return n == nil
	case *Block:
		return n == nil
	case *TypeExpr:
		return n == nil
	}
	return false
}

// eachChild calls f for every node right below n; some may be nil.
func eachChild(n Node, f func(Node)) {
	expr := func(x Expr) {
		if x != nil {
			f(x)
		}
	}
	switch n := n.(type) {
	case *Program:
		f(n.C)
		f(n.Config)
		each(n.Imports, f)
		each(n.Decls, f)
	case *CPart:
		for i := range n.Defines {
			expr(n.Defines[i].Value)
		}
		each(n.Structs, f)
		for _, t := range n.Typedefs {
			f(t.Type)
			if t.Def != nil {
				f(t.Def)
			}
		}
		each(n.Enums, f)
	case *CStruct:
		each(n.Fields, f)
	case *CField:
		if n.Def != nil {
			f(n.Def)
		}
		f(n.Type)
	case *Config:
		each(n.Items, f)
	case *ConfigItem:
		expr(n.Value)
	case *Probe:
		each(n.Points, f)
		expr(n.Predicate)
		f(n.Body)
	case *Macro:
		each(n.Params, f)
		f(n.Body)
	case *Func:
		each(n.Params, f)
		f(n.Result)
		f(n.Body)
	case *Param:
		f(n.Type)
	case *MapDecl:
		expr(n.Size)
	case *Block:
		each(n.Stmts, f)
		expr(n.Value)
	case *TypeExpr:
		expr(n.Typeof)
		f(n.TypeofType)
	case Stmt:
		stmtChildren(n, f, expr)
	case Expr:
		exprChildren(n, f, expr)
	}
}

func each[T Node](list []T, f func(Node)) {
	for _, n := range list {
		f(n)
	}
}

func stmtChildren(n Stmt, f func(Node), expr func(Expr)) {
	switch n := n.(type) {
	case *ExprStmt:
		expr(n.X)
	case *Assign:
		expr(n.Target)
		f(n.Type)
		expr(n.Value)
	case *Let:
		f(n.Var)
		f(n.Type)
	case *If:
		expr(n.Cond)
		f(n.Then)
		f(n.Else)
	case *Unroll:
		expr(n.Count)
		f(n.Body)
	case *While:
		expr(n.Cond)
		f(n.Body)
	case *ForRange:
		f(n.Var)
		expr(n.From)
		expr(n.To)
		f(n.Body)
	case *ForMap:
		f(n.Var)
		f(n.Map)
		f(n.Body)
	case *Jump:
		expr(n.Value)
	case *BlockStmt:
		f(n.Body)
	}
}

func exprChildren(n Expr, f func(Node), expr func(Expr)) {
	switch n := n.(type) {
	case *MapRef:
		expr(n.Key)
	case *AddrOf:
		expr(n.X)
	case *Unary:
		expr(n.X)
	case *IncDec:
		expr(n.X)
	case *Binary:
		expr(n.X)
		expr(n.Y)
	case *Ternary:
		expr(n.Cond)
		expr(n.Then)
		expr(n.Else)
	case *Call:
		each(n.Args, f)
	case *TypeArg:
		f(n.Type)
	case *Sizeof:
		f(n.Type)
		expr(n.X)
	case *Offsetof:
		f(n.Type)
		expr(n.X)
	case *Typeinfo:
		f(n.Type)
		expr(n.X)
	case *Comptime:
		expr(n.X)
	case *Cast:
		f(n.Type)
		expr(n.X)
	case *Field:
		expr(n.X)
	case *TupleIndex:
		expr(n.X)
	case *Index:
		expr(n.X)
		expr(n.I)
	case *Tuple:
		each(n.Elems, f)
	case *Record:
		each(n.Elems, f)
	case *IfExpr:
		f(n.If)
	case *BlockExpr:
		f(n.Body)
	}
}

// RewriteExprs replaces every expression below n by what f makes of it, in place and from the leaves up, so that f
// sees operands that are rewritten already. n itself stays. The variable of a loop or let, and the map of a loop, are
// replaced only by another variable or map; the parameters of a macro are left alone. f must not return nil.
func RewriteExprs(n Node, f func(Expr) Expr) {
	if isNil(n) {
		return
	}
	r := rewriter{f}
	switch n := n.(type) {
	case *Macro:
		RewriteExprs(n.Body, f)
		return
	case *CPart:
		for i := range n.Defines {
			r.expr(&n.Defines[i].Value)
		}
		return
	case *ConfigItem:
		r.expr(&n.Value)
	case *Probe:
		r.expr(&n.Predicate)
		RewriteExprs(n.Body, f)
	case *MapDecl:
		r.expr(&n.Size)
	case *Block:
		for _, s := range n.Stmts {
			RewriteExprs(s, f)
		}
		r.expr(&n.Value)
	case *TypeExpr:
		r.expr(&n.Typeof)
		RewriteExprs(n.TypeofType, f)
	case Stmt:
		r.stmt(n)
	case Expr:
		r.below(n)
	default:
		eachChild(n, func(c Node) { RewriteExprs(c, f) })
	}
}

type rewriter struct{ f func(Expr) Expr }

// expr rewrites what is below an expression, then the expression.
func (r rewriter) expr(x *Expr) {
	if *x != nil {
		RewriteExprs(*x, r.f)
		*x = r.f(*x)
	}
}

func (r rewriter) exprs(list []Expr) {
	for i := range list {
		r.expr(&list[i])
	}
}

func (r rewriter) node(n Node) { RewriteExprs(n, r.f) }

func (r rewriter) variable(v **Var) {
	if x, ok := r.f(*v).(*Var); ok {
		*v = x
	}
}

func (r rewriter) stmt(n Stmt) {
	switch n := n.(type) {
	case *ExprStmt:
		r.expr(&n.X)
	case *Assign:
		r.expr(&n.Target)
		r.node(n.Type)
		r.expr(&n.Value)
	case *Let:
		r.variable(&n.Var)
		r.node(n.Type)
	case *If:
		r.expr(&n.Cond)
		r.node(n.Then)
		r.node(n.Else)
	case *Unroll:
		r.expr(&n.Count)
		r.node(n.Body)
	case *While:
		r.expr(&n.Cond)
		r.node(n.Body)
	case *ForRange:
		r.variable(&n.Var)
		r.expr(&n.From)
		r.expr(&n.To)
		r.node(n.Body)
	case *ForMap:
		r.variable(&n.Var)
		r.node(n.Map)
		if m, ok := r.f(n.Map).(*MapRef); ok {
			n.Map = m
		}
		r.node(n.Body)
	case *Jump:
		r.expr(&n.Value)
	case *BlockStmt:
		r.node(n.Body)
	}
}

// below rewrites the operands of an expression.
func (r rewriter) below(n Expr) {
	switch n := n.(type) {
	case *MapRef:
		r.expr(&n.Key)
	case *AddrOf:
		r.expr(&n.X)
	case *Unary:
		r.expr(&n.X)
	case *IncDec:
		r.expr(&n.X)
	case *Binary:
		r.expr(&n.X)
		r.expr(&n.Y)
	case *Ternary:
		r.expr(&n.Cond)
		r.expr(&n.Then)
		r.expr(&n.Else)
	case *Call:
		r.exprs(n.Args)
	case *TypeArg:
		r.node(n.Type)
	case *Sizeof:
		r.node(n.Type)
		r.expr(&n.X)
	case *Offsetof:
		r.node(n.Type)
		r.expr(&n.X)
	case *Typeinfo:
		r.node(n.Type)
		r.expr(&n.X)
	case *Comptime:
		r.expr(&n.X)
	case *Cast:
		r.node(n.Type)
		r.expr(&n.X)
	case *Field:
		r.expr(&n.X)
	case *TupleIndex:
		r.expr(&n.X)
	case *Index:
		r.expr(&n.X)
		r.expr(&n.I)
	case *Tuple:
		r.exprs(n.Elems)
	case *Record:
		r.exprs(n.Elems)
	case *IfExpr:
		r.node(n.If)
	case *BlockExpr:
		r.node(n.Body)
	}
}
