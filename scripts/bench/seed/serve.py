"""Starts the seed's server: nginx before gunicorn with a sync worker for each CPU.

Environment: PORT, MODEL (a .keras file), SCRATCH (a folder for sockets and logs), PROXY (the
nginx program; without it gunicorn is asked directly).
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NGINX = """
daemon off;
{user}
pid {scratch}/nginx-{port}.pid;
error_log {scratch}/nginx-{port}.log;
worker_processes 1;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {scratch}/nginx-body-{port};
  proxy_temp_path {scratch}/nginx-proxy-{port};
  fastcgi_temp_path {scratch}/nginx-fastcgi-{port};
  uwsgi_temp_path {scratch}/nginx-uwsgi-{port};
  scgi_temp_path {scratch}/nginx-scgi-{port};
  upstream gunicorn {{ server unix:{scratch}/gunicorn-{port}.sock; }}
  server {{
    listen {port};
    client_max_body_size 5m;
    keepalive_requests 1000000;
    location ~ ^/(ping|invocations) {{
      proxy_set_header Host $http_host;
      proxy_redirect off;
      proxy_pass http://gunicorn;
    }}
    location / {{ return 404; }}
  }}
}}
"""


def main() -> int:
    """Start both, and end both when told to or when one ends."""
    port, scratch = os.environ["PORT"], os.environ["SCRATCH"]
    nginx = os.environ.get("PROXY")
    bind = f"unix:{scratch}/gunicorn-{port}.sock" if nginx else f"127.0.0.1:{port}"
    workers = ["--workers", str(os.cpu_count()), "--worker-class", "sync", "--timeout", "60"]
    gunicorn = [sys.executable, "-m", "gunicorn", *workers, "--bind", bind, "predictor:app"]
    programs = [subprocess.Popen(gunicorn, cwd=HERE)]
    if nginx:
        configuration = Path(scratch) / f"nginx-{port}.conf"
        user = "user root;" if os.geteuid() == 0 else ""  # else its worker is nobody
        configuration.write_text(NGINX.format(port=port, scratch=scratch, user=user))
        programs.append(subprocess.Popen([nginx, "-c", str(configuration)]))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: [program.terminate() for program in programs])
    os.wait()
    for program in programs:
        program.terminate()
        program.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
