// Command forward is a chained network plugin: in every pod it listens at the service addresses of the API server and of other servers, and
// forwards to them on the machine's own 127.0.0.1, which a pod cannot reach. So pods need no kube-proxy and no route.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// config is what the network configuration says and what the plugin before this one did.
type config struct {
	CNIVersion string `json:"cniVersion"`
	Forwards   []struct {
		// Listen is the address in the pod, such as 10.123.0.1:443.
		Listen string `json:"listen"`
		// To is the address on the machine.
		To string `json:"to"`
	} `json:"forwards"`
	// Directory remembers the forwarders, one file each, named after its container.
	Directory  string                     `json:"directory"`
	PrevResult map[string]json.RawMessage `json:"prevResult"`
}

func main() {
	if len(os.Args) > 1 {
		fail("", serve(os.Args[1:]))
		return
	}
	var network config
	if err := json.NewDecoder(os.Stdin).Decode(&network); err != nil {
		fail("", fmt.Errorf("the configuration on standard input must be JSON: %w", err))
		return
	}
	var err error
	switch command := os.Getenv("CNI_COMMAND"); command {
	case "ADD":
		err = add(network)
	case "DEL":
		err = end(network)
	case "CHECK":
		if _, alive := forwarder(network); !alive {
			err = errors.New("the forwarder of this container must run")
		}
	case "VERSION":
		err = answer(map[string]any{
			"cniVersion":        network.CNIVersion,
			"supportedVersions": []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"},
		})
	case "GC", "STATUS":
	default:
		err = fmt.Errorf("CNI_COMMAND must be ADD, DEL, CHECK, VERSION, GC or STATUS, and is %q", command)
	}
	fail(network.CNIVersion, err)
}

func add(network config) error {
	container, namespace := os.Getenv("CNI_CONTAINERID"), os.Getenv("CNI_NETNS")
	var listeners []*os.File
	var targets []string
	for _, forward := range network.Forwards {
		listener, err := listenIn(namespace, forward.Listen)
		if err != nil {
			return err
		}
		listeners, targets = append(listeners, listener), append(targets, forward.To)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// The command line names directory and container, so that whoever ends a forwarder knows it from a stranger.
	command := exec.Command(self, append([]string{"serve", network.Directory, container, namespace}, targets...)...)
	command.Dir = "/"
	// One thread and a small heap are enough to copy bytes.
	command.Env = []string{"GOMAXPROCS=1", "GOGC=50"}
	command.ExtraFiles = listeners
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting the forwarder: %w", err)
	}
	if err := remember(network, container, command.Process.Pid); err != nil {
		_ = command.Process.Kill()
		return err
	}
	result := network.PrevResult
	if result == nil {
		result = map[string]json.RawMessage{}
	}
	result["cniVersion"] = json.RawMessage(strconv.Quote(network.CNIVersion))
	return answer(result)
}

// listenIn listens at an address that it first gives to the loopback of a network namespace. A namespace belongs to a thread, and so does
// what the thread starts.
func listenIn(namespace, address string) (*os.File, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen must be ADDRESS:PORT: %w", err)
	}
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer home.Close()
	pod, err := os.Open(namespace)
	if err != nil {
		return nil, fmt.Errorf("CNI_NETNS must be a network namespace: %w", err)
	}
	defer pod.Close()
	if err := enter(pod); err != nil {
		return nil, fmt.Errorf("entering %s: %w", namespace, err)
	}
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader(fmt.Sprintf("link set lo up\naddress replace %s/32 dev lo\n", host))
	if output, err := ip.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("giving the loopback %s: %w: %s", host, err, output)
	}
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	// The thread stays locked; on an error this process ends anyway.
	return file, enter(home)
}

func enter(namespace *os.File) error {
	call, known := map[string]uintptr{"amd64": 308, "arm64": 268}[runtime.GOARCH]
	if !known {
		return fmt.Errorf("this machine must be amd64 or arm64, and is %s", runtime.GOARCH)
	}
	if _, _, errno := syscall.RawSyscall(call, namespace.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
		return errno
	}
	return nil
}

func remember(network config, container string, id int) error {
	if err := os.MkdirAll(network.Directory, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(network.Directory, container), []byte(strconv.Itoa(id)), 0o644)
}

// forwarder is the process of this container, and whether it runs and is no stranger with its id.
func forwarder(network config) (int, bool) {
	container := os.Getenv("CNI_CONTAINERID")
	text, err := os.ReadFile(filepath.Join(network.Directory, container))
	if err != nil {
		return 0, false
	}
	id, err := strconv.Atoi(string(text))
	if err != nil || id <= 1 {
		return 0, false
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id))
	if err != nil {
		return 0, false
	}
	words := strings.Split(string(line), "\x00")
	return id, len(words) > 3 && words[1] == "serve" && words[2] == network.Directory && words[3] == container
}

// end succeeds as well when there is nothing to end, as a network plugin must.
func end(network config) error {
	if id, alive := forwarder(network); alive {
		if err := syscall.Kill(id, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	err := os.Remove(filepath.Join(network.Directory, os.Getenv("CNI_CONTAINERID")))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// serve forwards what comes to the listeners that it was started with, until the namespace is gone.
func serve(arguments []string) error {
	if len(arguments) < 5 || arguments[0] != "serve" {
		return errors.New("usage: forward serve DIRECTORY CONTAINER NAMESPACE TO...")
	}
	namespace := arguments[3]
	for index, to := range arguments[4:] {
		listener, err := net.FileListener(os.NewFile(uintptr(3+index), "listener"))
		if err != nil {
			return err
		}
		go accept(listener, to)
	}
	opened, err := os.Stat(namespace)
	if err != nil {
		return err
	}
	for {
		time.Sleep(2 * time.Second)
		// After an unmount the path is gone or another file.
		if now, err := os.Stat(namespace); err != nil || !os.SameFile(opened, now) {
			return nil
		}
	}
}

func accept(listener net.Listener, to string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			// Too many open files, for instance: later there may be fewer.
			time.Sleep(50 * time.Millisecond)
			continue
		}
		go forward(client.(*net.TCPConn), to)
	}
}

// forward copies both ways; when one side has said everything, the other is told so and may still answer.
func forward(client *net.TCPConn, to string) {
	defer client.Close()
	connection, err := net.Dial("tcp4", to)
	if err != nil {
		// The client sees a reset, as of a server that is not there.
		_ = client.SetLinger(0)
		return
	}
	server := connection.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{}, 2)
	one := func(into, from *net.TCPConn) {
		// Between sockets the kernel moves the bytes itself.
		if _, err := into.ReadFrom(from); err != nil {
			client.Close()
			server.Close()
		} else {
			_ = into.CloseWrite()
		}
		done <- struct{}{}
	}
	go one(server, client)
	one(client, server)
	<-done
	<-done
}

func answer(result any) error {
	return json.NewEncoder(os.Stdout).Encode(result)
}

// fail tells the error as network plugins do and ends with a bad status; without an error it does nothing.
func fail(version string, err error) {
	if err == nil {
		return
	}
	if version == "" {
		version = "1.0.0"
	}
	_ = answer(map[string]any{"cniVersion": version, "code": 100, "msg": "forward: " + err.Error()})
	os.Exit(1)
}
