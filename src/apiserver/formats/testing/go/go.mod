module fixtures

go 1.23

require (
	k8s.io/api v0.32.4
	k8s.io/apimachinery v0.32.4
)
