package bench

import "testing"

func TestField(t *testing.T) {
	text := "processor\t: 0\nmodel name\t: A: B\nflags\t\t: fpu avx2\nmodel name\t: C\nPRETTY_NAME=\"Debian\"\n"
	for _, test := range []struct{ name, separator, want string }{
		{"model name", ":", "A: B"}, {"flags", ":", "fpu avx2"}, {"PRETTY_NAME", "=", `"Debian"`}, {"none", ":", ""},
	} {
		if got := field(text, test.name, test.separator); got != test.want {
			t.Errorf("field %q is %q, want %q", test.name, got, test.want)
		}
	}
}

func TestWidest(t *testing.T) {
	for _, test := range []struct {
		flags []string
		want  string
	}{{nil, ""}, {[]string{"avx", "avx2"}, "AVX2"}, {[]string{"avx2", "avx512f"}, "AVX-512"}, {[]string{"amx_tile", "avx512f"}, "AVX-512 and AMX"}} {
		if got := widest(test.flags); got != test.want {
			t.Errorf("widest of %v is %q, want %q", test.flags, got, test.want)
		}
	}
}

// The same machine is the same from run to run.
func TestThisMachine(t *testing.T) {
	if one, other := thisMachine(), thisMachine(); one != other || one.Cores < 1 || one.Processor == "" {
		t.Errorf("%+v, then %+v", one, other)
	}
}
