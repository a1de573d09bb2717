/**
 * The programs that the tests run against, and the Debian packages that hold them.
 *
 * `binary` is a path inside the package; a peer found on the PATH under the same name is used instead when its
 * version passes `suits`. `libraries` says whether the packages' shared libraries are needed beside the binary.
 */
export const PEERS = {
  openssl: {
    packages: ['openssl'],
    binary: 'usr/bin/openssl',
    versionArguments: ['version'],
    version: /OpenSSL (\d+\.\d+\.\d+)/,
    suits: ([major]) => major >= 3,
  },
  certtool: {
    packages: ['gnutls-bin'],
    binary: 'usr/bin/certtool',
    versionArguments: ['--version'],
    version: /certtool (\d+\.\d+\.\d+)/,
    suits: ([major, minor]) => major > 3 || (major === 3 && minor >= 6),
  },
  etcd: {
    packages: ['etcd-server'],
    binary: 'usr/bin/etcd',
    versionArguments: ['--version'],
    version: /etcd Version: (\d+\.\d+\.\d+)/,
    suits: ([major, minor]) => major === 3 && minor >= 4,
  },
  etcdctl: {
    packages: ['etcd-client'],
    binary: 'usr/bin/etcdctl',
    versionArguments: ['version'],
    environment: { ETCDCTL_API: '3' },
    version: /etcdctl version: (\d+\.\d+\.\d+)/,
    suits: ([major, minor]) => major === 3 && minor >= 4,
  },
  // The oldest kubectl that is still in use: JSON only, no dispatch on the server's version.
  kubectlDebian: {
    packages: ['kubernetes-client'],
    binary: 'usr/bin/kubectl',
    versionArguments: ['version', '--client'],
    version: /GitVersion:"v(\d+\.\d+\.\d+)/,
    suits: ([major, minor]) => major === 1 && minor <= 20,
  },
  // A kubectl of today (protobuf request bodies from 1.32 on) is in no Debian release: used where it is on the PATH.
  kubectl: {
    packages: [],
    binary: 'usr/bin/kubectl',
    versionArguments: ['version', '--client'],
    version: /Client Version: (?:v|version\.Info\{.*GitVersion:"v)(\d+\.\d+\.\d+)/,
    suits: ([major, minor]) => major === 1 && minor > 20,
    optional: true,
  },
};

/** PostgreSQL is a directory of server programs, and never on the PATH in Debian. */
export const POSTGRES = {
  packages: ['postgresql'],
  // The server, its client programs and libraries; not the packages that would create and start a cluster.
  keep: /^(?:postgresql(?:-client)?-\d+|lib(?!llvm|.*-perl$).*)$/,
  programs: ['initdb', 'postgres', 'pg_ctl', 'psql', 'pg_isready', 'pg_dump'],
  oldest: 13,
};
