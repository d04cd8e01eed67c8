// Go: a goroutine for each stage, and a channel of capacity SIZE before it.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

func number(index int) int {
	value, err := strconv.Atoi(os.Args[index])
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	stages, size, messages := number(1), number(2), number(3)
	runtime.GC()
	before := time.Now()
	first := make(chan int, size)
	go func() {
		for n := 0; n < messages; n++ {
			first <- n
		}
		close(first)
	}()
	last := first
	for index := 0; index < stages; index++ {
		from, to := last, make(chan int, size)
		go func() {
			for message := range from {
				to <- message
			}
			close(to)
		}()
		last = to
	}
	arrived := 0
	for range last {
		arrived++
	}
	seconds := time.Since(before).Seconds()
	hops := stages + 1
	if arrived != messages {
		panic("messages were lost")
	}
	fmt.Printf("{\"about\": \"%s\", \"messages\": %d, \"hops\": %d, \"seconds\": %f, \"rate\": %f}\n",
		runtime.Version(), arrived, hops, seconds, float64(arrived*hops)/seconds)
}
