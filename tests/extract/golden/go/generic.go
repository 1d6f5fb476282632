// +build linux

package list

// Map applies f to every element.
func Map[T, U any](in []T, f func(T) U) []U {
	out := make([]U, 0, len(in))
	for _, v := range in {
		out = append(out, f(v))
	}
	return out
}

// Len is declared here and written in assembly.
func Len(p *byte) int

// Sum adds.
/* A block ends the run. */
func Sum(in ...int) (total int) {
	for _, v := range in {
		total += v
	}
	return
}
