package params

import "reflect"

// Named is a struct of parameters as nested maps, by the names that the keys
// have in params.yaml.
func Named(structure any) map[string]any {
	value := reflect.ValueOf(structure)
	named := map[string]any{}
	for i := range value.NumField() {
		key, field := value.Type().Field(i).Tag.Get("yaml"), value.Field(i)
		if field.Kind() == reflect.Struct {
			named[key] = Named(field.Interface())
		} else {
			named[key] = field.Interface()
		}
	}
	return named
}
