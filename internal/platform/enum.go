package platform

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

// The enums of this package are the contract's own, so they know how GraphQL writes
// them. Reading refuses what is not one of Values.

// MarshalGQL writes the platform's name.
func (n Name) MarshalGQL(w io.Writer) { marshalEnum(w, string(n)) }

// UnmarshalGQL reads a platform's name.
func (n *Name) UnmarshalGQL(v any) error { return unmarshalEnum(n, v, n.Values()) }

// MarshalGQL writes the kind.
func (k AttachmentKind) MarshalGQL(w io.Writer) { marshalEnum(w, string(k)) }

// UnmarshalGQL reads a kind.
func (k *AttachmentKind) UnmarshalGQL(v any) error { return unmarshalEnum(k, v, k.Values()) }

func marshalEnum(w io.Writer, s string) { _, _ = io.WriteString(w, strconv.Quote(s)) }

func unmarshalEnum[T ~string](to *T, v any, values []string) error {
	s, ok := v.(string)
	if !ok || !slices.Contains(values, s) {
		return fmt.Errorf("not one of %v", values)
	}
	*to = T(s)
	return nil
}
