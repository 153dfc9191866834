// Writes random objects, strategic merge patches, and what the official Go library makes of them: `go run ./strategic 5000 1`.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

type M = map[string]interface{}
type L = []interface{}

func pick(r *rand.Rand, xs ...string) string { return xs[r.Intn(len(xs))] }
func subset(r *rand.Rand, xs []string) []string {
	var o []string
	for _, i := range r.Perm(len(xs)) {
		if r.Intn(2) == 0 {
			o = append(o, xs[i])
		}
	}
	return o
}
func toL(xs []string) L {
	o := L{}
	for _, x := range xs {
		o = append(o, x)
	}
	return o
}

var fin = []string{"a", "b", "c", "d", "e"}

func obj(r *rand.Rand) M {
	meta := M{"name": "n"}
	if r.Intn(3) > 0 {
		l := M{}
		for _, k := range subset(r, []string{"x", "y", "z"}) {
			l[k] = pick(r, "1", "2")
		}
		meta["labels"] = l
	}
	if r.Intn(4) > 0 {
		meta["finalizers"] = toL(subset(r, fin))
	}
	if r.Intn(3) > 0 {
		o := L{}
		for _, u := range subset(r, []string{"u1", "u2", "u3"}) {
			o = append(o, M{"uid": u, "name": pick(r, "p", "q"), "kind": "K", "apiVersion": "v1"})
		}
		meta["ownerReferences"] = o
	}
	out := M{"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
	if r.Intn(2) == 0 {
		c := L{}
		for _, t := range subset(r, []string{"A", "B", "C", "D"}) {
			c = append(c, M{"type": t, "status": pick(r, "True", "False"), "reason": "r"})
		}
		out["status"] = M{"phase": "Active", "conditions": c}
	}
	if r.Intn(2) == 0 {
		out["spec"] = M{"finalizers": toL(subset(r, fin))}
	}
	return out
}
func listPatch(r *rand.Rand, into M, field, key string, ids []string) {
	mk := func(u string) M {
		m := M{key: u}
		if r.Intn(2) == 0 {
			m["reason"] = pick(r, "new", "newer")
		}
		if r.Intn(5) == 0 {
			m["status"] = nil
		}
		return m
	}
	order := subset(r, ids)
	var chosen []string
	for _, u := range order {
		if r.Intn(3) > 0 {
			chosen = append(chosen, u)
		}
	}
	l := L{}
	for _, u := range chosen {
		l = append(l, mk(u))
	}
	if r.Intn(3) == 0 {
		for _, u := range ids {
			found := false
			for _, o := range order {
				found = found || o == u
			}
			if !found && r.Intn(2) == 0 {
				l = append(l, M{"$patch": "delete", key: u})
			}
		}
	}
	if r.Intn(8) == 0 {
		l = append(l, M{"$patch": "replace"})
	}
	if r.Intn(12) == 0 {
		l = append(l, M{"status": "nokey"})
	}
	if r.Intn(12) == 0 && len(l) > 1 {
		l[0], l[1] = l[1], l[0]
	}
	if r.Intn(5) > 0 {
		into[field] = l
	}
	if r.Intn(2) == 0 {
		o := L{}
		for _, u := range order {
			o = append(o, M{key: u})
		}
		into["$setElementOrder/"+field] = o
	}
}
func patch(r *rand.Rand) M {
	meta := M{}
	p := M{}
	if r.Intn(2) == 0 {
		l := M{}
		for _, k := range subset(r, []string{"x", "y", "w"}) {
			if r.Intn(3) == 0 {
				l[k] = nil
			} else {
				l[k] = pick(r, "3", "4")
			}
		}
		if r.Intn(5) == 0 {
			l["$patch"] = pick(r, "replace", "delete", "bogus")
			if l["$patch"] == "replace" {
				for k, v := range l {
					if v == nil {
						delete(l, k)
					}
				}
			}
		}
		if r.Intn(5) == 0 {
			l["$retainKeys"] = toL(subset(r, []string{"x", "y", "w"}))
		}
		meta["labels"] = l
	}
	switch r.Intn(5) {
	case 0:
		meta["finalizers"] = toL(subset(r, fin))
	case 1:
		order := subset(r, fin)
		var chosen []string
		for _, u := range order {
			if r.Intn(2) > 0 {
				chosen = append(chosen, u)
			}
		}
		meta["$setElementOrder/finalizers"] = toL(order)
		if r.Intn(3) > 0 {
			meta["finalizers"] = toL(chosen)
		}
	case 2:
		meta["$deleteFromPrimitiveList/finalizers"] = toL(subset(r, fin))
	case 3:
		meta["finalizers"] = nil
	}
	if r.Intn(2) == 0 {
		listPatch(r, meta, "ownerReferences", "uid", []string{"u1", "u2", "u3", "u4"})
	}
	p["metadata"] = meta
	if r.Intn(2) == 0 {
		s := M{}
		listPatch(r, s, "conditions", "type", []string{"A", "B", "C", "D", "E"})
		p["status"] = s
	}
	if r.Intn(4) == 0 {
		p["spec"] = M{"finalizers": toL(subset(r, fin))}
	}
	if r.Intn(15) == 0 {
		p["status"] = nil
	}
	return p
}

type kase struct {
	Object json.RawMessage `json:"object"`
	Patch  json.RawMessage `json:"patch"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	seed, _ := strconv.Atoi(os.Args[2])
	r := rand.New(rand.NewSource(int64(seed)))
	fmt.Println("[")
	for i := 0; i < n; i++ {
		o, _ := json.Marshal(obj(r))
		p, _ := json.Marshal(patch(r))
		k := kase{Object: o, Patch: p}
		func() {
			defer func() {
				if e := recover(); e != nil {
					k.Error = "panic"
				}
			}()
			res, err := strategicpatch.StrategicMergePatch(o, p, corev1.Namespace{})
			if err != nil {
				k.Error = err.Error()
			} else {
				k.Result = res
			}
		}()
		b, _ := json.Marshal(k)
		if i > 0 {
			fmt.Println(",")
		}
		fmt.Print(string(b))
	}
	fmt.Println("\n]")
}
