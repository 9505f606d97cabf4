package codegen
import ("testing";"sonde/internal/compile/ir";"os")
func TestShow(t *testing.T){ d,_:=os.ReadFile("/tmp/show.txt"); p,err:=ir.Parse(string(d)); if err!=nil{t.Fatal(err)}; if err:=ir.Verify(p);err!=nil{t.Fatal(err)}; ir.Optimize(p,nil); t.Log("\n"+p.String()); c,err:=Generate(p); if err!=nil{t.Fatal(err)}; t.Logf("\n%v",c.Instructions)}
