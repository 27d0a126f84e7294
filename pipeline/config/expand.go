package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
)

var reference = regexp.MustCompile(`\$\{[^}]*\}`)

// expand replaces, in every string of the value, ${NAME} and ${NAME:-otherwise} by the environment's value, and
// ${file:PATH} by the file's content without its last newline. Its error joins all references that lead nowhere.
func expand(v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		var errs []error
		v.SetString(reference.ReplaceAllStringFunc(v.String(), func(ref string) string {
			text, err := resolve(ref[2 : len(ref)-1])
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", ref, err))
			}
			return text
		}))
		return errors.Join(errs...)
	case reflect.Struct:
		var errs []error
		for i := range v.NumField() {
			errs = append(errs, expand(v.Field(i)))
		}
		return errors.Join(errs...)
	case reflect.Slice:
		var errs []error
		for i := range v.Len() {
			errs = append(errs, expand(v.Index(i)))
		}
		return errors.Join(errs...)
	}
	return nil
}

func resolve(ref string) (string, error) {
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		data, err := os.ReadFile(path)
		return strings.TrimRight(string(data), "\r\n"), err
	}
	name, otherwise, optional := strings.Cut(ref, ":-")
	if value, ok := os.LookupEnv(name); ok && (value != "" || !optional) {
		return value, nil
	}
	if !optional {
		return "", errors.New("the environment has no such variable; write ${" + name + ":-} if it may be empty")
	}
	return otherwise, nil
}
