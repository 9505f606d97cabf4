package check

import (
	"strconv"
	"strings"

	"sonde/internal/compile/syntax"
)

// parameters puts literals in the place of $1, $2... and $#.
func (c *checker) parameters() {
	for _, d := range c.program.Decls {
		syntax.RewriteExprs(d, func(e syntax.Expr) syntax.Expr {
			if call, ok := e.(*syntax.Call); ok && (call.Func == "str" || call.Func == "buf") && len(call.Args) > 0 {
				// str($1) is the parameter as a text, whatever it looks like.
				if p, ok := positionalOf(call.Args[0]); ok {
					call.Args[0] = &syntax.StringLit{At: p.At, Value: c.parameterText(p)}
				}
			}
			if p, ok := e.(*syntax.Positional); ok {
				return c.parameter(p)
			}
			return e
		})
	}
}

// positionalOf looks at an argument that may already have been replaced: RewriteExprs may come to the arguments first.
func positionalOf(e syntax.Expr) (*syntax.Positional, bool) {
	switch e := e.(type) {
	case *syntax.Positional:
		return e, e.N > 0
	case *syntax.IntLit:
		if n, ok := strings.CutPrefix(e.Text, "$"); ok {
			if n, err := strconv.Atoi(n); err == nil {
				return &syntax.Positional{At: e.At, N: n}, true
			}
		}
	}
	return nil, false
}

// parameter is the literal of one parameter: a number if it reads as one.
func (c *checker) parameter(p *syntax.Positional) syntax.Expr {
	if p.N == 0 {
		n := len(c.options.Positional)
		return &syntax.IntLit{At: p.At, Text: strconv.Itoa(n), Value: uint64(n)}
	}
	text := "$" + strconv.Itoa(p.N)
	if p.N > len(c.options.Positional) {
		c.warnf("parameter", p.Span(), "there is no parameter %s: it is 0", text)
		return &syntax.IntLit{At: p.At, Text: text}
	}
	value := c.options.Positional[p.N-1]
	if n, negative, ok := number64(value); ok {
		return &syntax.IntLit{At: p.At, Text: text, Value: n, Neg: negative}
	}
	return &syntax.StringLit{At: p.At, Value: value}
}

// number64 reads a number as scripts write them, a sign before it.
func number64(s string) (n uint64, negative, ok bool) {
	digits, negative := strings.CutPrefix(s, "-")
	if !negative {
		digits = strings.TrimPrefix(s, "+")
	}
	n, ok = syntax.ParseInt(digits)
	if negative {
		return -n, n != 0, ok && n <= 1<<63
	}
	return n, false, ok
}

func (c *checker) parameterText(p *syntax.Positional) string {
	if p.N > len(c.options.Positional) {
		return ""
	}
	return c.options.Positional[p.N-1]
}

// pointParameters replaces $1 and $# in the text of an attach point.
func (c *checker) pointParameters(at syntax.Span, text string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' {
			b.WriteByte(text[i])
			continue
		}
		start, end := i+1, i+1
		braces := start < len(text) && text[start] == '{'
		if braces {
			start, end = start+1, end+1
		}
		if end < len(text) && text[end] == '#' {
			b.WriteString(strconv.Itoa(len(c.options.Positional)))
			end++
		} else {
			for end < len(text) && text[end] >= '0' && text[end] <= '9' {
				end++
			}
			n, err := strconv.Atoi(text[start:end])
			switch {
			case err != nil || n == 0:
				b.WriteByte('$')
				continue
			case n > len(c.options.Positional):
				c.warnf("parameter", at, "there is no parameter $%d: the attach point is taken without it", n)
			default:
				b.WriteString(c.options.Positional[n-1])
			}
		}
		if braces && end < len(text) && text[end] == '}' {
			end++
		}
		i = end - 1
	}
	return b.String()
}
