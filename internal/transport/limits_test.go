package transport

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestTheFlagsDefaultsAreTheRoomsOwn(t *testing.T) {
	t.Parallel()
	for _, limits := range []any{Limits{}.withDefaults(), SocketLimits{}.withDefaults()} {
		v := reflect.ValueOf(limits)
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if got := fmt.Sprint(v.Field(i).Interface()); !strings.HasSuffix(field.Tag.Get("help"), " Default: "+got+".") {
				t.Errorf("%s: the room's default is %s, the flag says %q", field.Name, got, field.Tag.Get("help"))
			}
		}
	}
	if name := (Limits{SameMutation: -1}).Negative(); name != "same-mutation" {
		t.Errorf("the limit below nothing is called %q", name)
	}
}
