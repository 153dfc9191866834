package main

import "fmt"

func main() {
	fmt.Print("Content-Type: text/plain\r\n\r\nHello, world!\n")
}
