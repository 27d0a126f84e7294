package shipped

import (
	"errors"
	"strings"
	"testing"
)

func sample() Origin {
	return Origin{Stream: "file-9f86d081884c7d659a2feaa0c55ad015-0", From: 123456, To: 123700, Marker: "0123456789abcdef", Source: "mail",
		Host: "mx1.example.org", Dialect: "auto", Anchor: "1763788381000 1763788400000 true Europe/Berlin"}
}

func TestRoundTrip(t *testing.T) {
	for name, change := range map[string]func(*Origin){
		"as it is":          func(*Origin) {},
		"only what must":    func(o *Origin) { *o = Origin{Stream: "s", To: 1, Marker: "0000000000000000"} },
		"the largest":       func(o *Origin) { o.From, o.To = 1<<62-2, 1<<62-1 },
		"any bytes":         func(o *Origin) { o.Source, o.Anchor = "a\x00\t\n\xff\"{}", "1 2 true UTC\tpowermta=type,timeLogged\n" },
		"the longest":       func(o *Origin) { o.Host, o.Anchor = strings.Repeat("h", maxName), strings.Repeat("a", MaxAnchor) },
		"a configured zone": func(o *Origin) { o.Zone = "America/Argentina/Buenos_Aires" },
	} {
		o := sample()
		change(&o)
		if err := o.Valid(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		b := Append([]byte("before"), &o)
		got, err := Parse(b[len("before"):])
		if err != nil || got != o {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, o)
		}
	}
}

func TestInvalid(t *testing.T) {
	for want, change := range map[string]func(*Origin){
		"stream: is empty":             func(o *Origin) { o.Stream = "" },
		"stream: has 256":              func(o *Origin) { o.Stream = strings.Repeat("s", 256) },
		"host: has 256":                func(o *Origin) { o.Host = strings.Repeat("s", 256) },
		"anchor: has 16385":            func(o *Origin) { o.Anchor = strings.Repeat("s", MaxAnchor+1) },
		"position: [-1, 5)":            func(o *Origin) { o.From, o.To = -1, 5 },
		"position: [5, 5)":             func(o *Origin) { o.From, o.To = 5, 5 },
		"marker: \"\"":                 func(o *Origin) { o.Marker = "" },
		"marker: \"0123456789ABCDEF\"": func(o *Origin) { o.Marker = "0123456789ABCDEF" },
	} {
		o := sample()
		change(&o)
		if err := o.Valid(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestDamage cuts a header at every byte and appends to it: none of it is taken for an origin.
func TestDamage(t *testing.T) {
	o := sample()
	b := Append(nil, &o)
	for n := range b {
		if _, err := Parse(b[:n]); err == nil {
			t.Errorf("cut at %d of %d it was accepted", n, len(b))
		}
	}
	if _, err := Parse(append(b, 0)); err == nil {
		t.Error("with a byte behind its end it was accepted")
	}
	b[0] = version + 1
	if _, err := Parse(b); !errors.Is(err, ErrVersion) {
		t.Errorf("another version: %v", err)
	}
}

func TestDecodeKeepsEqualTexts(t *testing.T) {
	o := sample()
	b := Append(nil, &o)
	var into Origin
	buf := make([]byte, 0, len(b))
	if n := testing.AllocsPerRun(100, func() {
		buf = Append(buf[:0], &o)
		if err := into.Decode(buf); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a line of the same stream", n)
	}
	clear(buf)
	if into != o {
		t.Error("the origin points into the header's memory")
	}
}

func FuzzParse(f *testing.F) {
	o := sample()
	f.Add(Append(nil, &o))
	f.Add([]byte{version})
	f.Add([]byte{version, 1, 's', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(Append(nil, &o))
		if err != nil || again != o {
			t.Fatalf("%+v came back as %+v, %v", o, again, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	o := sample()
	h := Append(nil, &o)
	var into Origin
	b.ReportAllocs()
	for b.Loop() {
		if err := into.Decode(h); err != nil {
			b.Fatal(err)
		}
	}
}
