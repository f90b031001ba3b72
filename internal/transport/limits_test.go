package transport

import (
	"fmt"
	"reflect"
	"testing"
)

func TestTheFlagsDefaultsAreTheRoomsOwn(t *testing.T) {
	t.Parallel()
	for _, limits := range []any{Limits{}.withDefaults(), SocketLimits{}.withDefaults()} {
		v := reflect.ValueOf(limits)
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if got := fmt.Sprint(v.Field(i).Interface()); got != field.Tag.Get("default") {
				t.Errorf("%s: the flag's default is %s, the room's %s", field.Name, field.Tag.Get("default"), got)
			}
		}
	}
	if name := (Limits{SameMutation: -1}).Negative(); name != "same-mutation" {
		t.Errorf("the limit below nothing is called %q", name)
	}
}
