// Command validate does with the CRDs of a folder what a kube-apiserver does with them, using its own code:
// it validates the definitions (structural schemas, CEL rules compiled and their cost estimated), then reads
// objects from standard input, one JSON document {"object": …, "old": …} a line, and writes for each one line of
// JSON: the errors, the unknown fields, and the object as it would be stored.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

type kind struct {
	structural *structuralschema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

type input struct {
	Object map[string]any `json:"object"`
	Old    map[string]any `json:"old"`
}

type output struct {
	Errors  []string       `json:"errors"`
	Unknown []string       `json:"unknown"`
	Stored  map[string]any `json:"stored"`
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	kinds := map[string]kind{}
	var faults []string
	for _, file := range files {
		name, read, errs := readKind(scheme, file)
		for _, err := range errs {
			faults = append(faults, fmt.Sprintf("%s: %s", filepath.Base(file), err))
		}
		kinds[name] = read
	}
	out := json.NewEncoder(os.Stdout)
	if faults == nil {
		faults = []string{}
	}
	if err := out.Encode(map[string]any{"files": len(files), "faults": faults}); err != nil {
		return err
	}
	if len(faults) > 0 {
		return fmt.Errorf("%d faults in the definitions", len(faults))
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var in input
		// As the server decodes: whole numbers stay whole.
		if err := kjson.UnmarshalCaseSensitivePreserveInts(lines.Bytes(), &in); err != nil {
			return err
		}
		name, _ := in.Object["kind"].(string)
		k, known := kinds[name]
		if !known {
			return fmt.Errorf("no definition of kind %q", name)
		}
		if err := out.Encode(k.check(in)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func readKind(scheme *runtime.Scheme, file string) (string, kind, []string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", kind{}, []string{err.Error()}
	}
	var v1 apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &v1); err != nil {
		return "", kind{}, []string{err.Error()}
	}
	scheme.Default(&v1)
	var crd apiextensions.CustomResourceDefinition
	if err := scheme.Convert(&v1, &crd, nil); err != nil {
		return "", kind{}, []string{err.Error()}
	}
	var faults []string
	for _, err := range crdvalidation.ValidateCustomResourceDefinition(context.Background(), &crd) {
		// Set by the server itself, in the status.
		if strings.HasPrefix(err.Field, "status.") {
			continue
		}
		faults = append(faults, err.Error())
	}
	if len(faults) > 0 {
		return crd.Spec.Names.Kind, kind{}, faults
	}
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
		v1.Spec.Versions[0].Schema.OpenAPIV3Schema, &props, nil); err != nil {
		return "", kind{}, []string{err.Error()}
	}
	structural, err := structuralschema.NewStructural(&props)
	if err != nil {
		return "", kind{}, []string{err.Error()}
	}
	schema, _, err := validation.NewSchemaValidator(&props)
	if err != nil {
		return "", kind{}, []string{err.Error()}
	}
	rules := cel.NewValidator(structural, true, celconfig.PerCallLimit)
	return crd.Spec.Names.Kind, kind{structural, schema, rules}, nil
}

// The order of a kube-apiserver: prune, fill defaults and drop nulls, then check.
func (k kind) check(in input) output {
	out := output{Errors: []string{}, Unknown: []string{}, Stored: in.Object}
	unknown := pruning.PruneWithOptions(in.Object, k.structural, true,
		structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	out.Unknown = append(out.Unknown, unknown...)
	defaulting.Default(in.Object, k.structural)
	defaulting.PruneNonNullableNullsWithoutDefaults(in.Object, k.structural)
	var errs field.ErrorList
	if in.Old == nil {
		errs = append(errs, validation.ValidateCustomResource(nil, in.Object, k.schema)...)
	} else {
		errs = append(errs, validation.ValidateCustomResourceUpdate(nil, in.Object, in.Old, k.schema)...)
	}
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, k.structural, in.Object)...)
	// As the server does: rules are not run over what is of another shape than the schema's.
	if len(errs) == 0 && k.rules != nil {
		var old any
		if in.Old != nil {
			old = in.Old
		}
		found, _ := k.rules.Validate(context.Background(), nil, k.structural, in.Object, old, celconfig.RuntimeCELCostBudget)
		errs = append(errs, found...)
	}
	for _, err := range errs {
		out.Errors = append(out.Errors, err.Error())
	}
	return out
}
