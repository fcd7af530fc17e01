# The container of web/ as a Nomad job: the same settings as in kubernetes.yaml.
job "web" {
  type = "service"

  group "web" {
    count = 2

    network {
      port "http" { to = 8080 }
    }

    # Nomad waits this long after it took the service out of its catalogue, and only then asks the task to end.
    shutdown_delay = "5s"

    task "web" {
      driver = "docker"
      user   = "33:33"

      # SEXTON_SHUTDOWN_TIMEOUT below is a little less.
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      config {
        image           = "registry.example/web:1"
        ports           = ["http"]
        init            = false
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        mount {
          type   = "tmpfs"
          target = "/tmp"
        }
        mount {
          type   = "volume"
          target = "/data"
          source = "web-data"
        }
      }

      env {
        WORKERS                 = "8"
        SEXTON_SHUTDOWN_TIMEOUT = "27s"
      }

      service {
        name     = "web"
        provider = "nomad"
        port     = "http"

        check {
          name     = "serves"
          type     = "http"
          path     = "/health"
          interval = "5s"
          timeout  = "3s"
        }
      }

      resources {
        cpu    = 500
        memory = 256
      }
    }
  }
}
