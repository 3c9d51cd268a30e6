; Windows setup program (Inno Setup 6.3 or newer). build.py passes Version, Folder and Out.
; Not run on our machines, which have no Windows; see README.md.

#ifndef Version
  #error Build it with: python installers/frozen/build.py inno
#endif

[Setup]
AppId={{6E2A5C4B-52B6-4F0E-9B7B-6F0B1B9C7A31}
AppName=M2HF-app
AppVersion={#Version}
AppPublisher=The M2HF-app authors
DefaultDirName={autopf}\M2HF-app
DefaultGroupName=M2HF-app
DisableProgramGroupPage=yes
; For one person without administrator's rights, or for everybody with them.
PrivilegesRequired=lowest
PrivilegesRequiredOverridesAllowed=dialog
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
LicenseFile={#Folder}\licences\COPYRIGHT
OutputDir={#Out}
OutputBaseFilename=m2hf-app-{#Version}-setup
Compression=lzma2/fast
SolidCompression=no
; More than 2 GB: a setup.exe cannot hold it in one piece.
DiskSpanning=yes
SetupIconFile=..\icons\m2hf-app.ico
UninstallDisplayIcon={app}\m2hf-app-window.exe
WizardStyle=modern
CloseApplications=yes
; Terminals that are opened afterwards are told of the new PATH.
ChangesEnvironment=yes

[Files]
Source: "{#Folder}\*"; DestDir: "{app}"; Flags: ignoreversion recursesubdirs createallsubdirs

[Icons]
Name: "{group}\M2HF-app"; Filename: "{app}\m2hf-app-window.exe"
Name: "{autodesktop}\M2HF-app"; Filename: "{app}\m2hf-app-window.exe"; Tasks: desktopicon

[Tasks]
Name: desktopicon; Description: "Put an icon on the desktop"; Flags: unchecked
Name: path; Description: "Let terminals find m2hf-app"; Flags: unchecked

[Registry]
Root: HKA; Subkey: "{code:EnvironmentKey}"; ValueType: expandsz; ValueName: "Path"; ValueData: "{olddata};{app}"; \
  Tasks: path; Check: NotOnPath(ExpandConstant('{app}'))

[Run]
Filename: "{app}\m2hf-app-window.exe"; Description: "Open M2HF-app"; Flags: nowait postinstall skipifsilent

[Code]
// Everybody's PATH lies elsewhere than one's own.
function EnvironmentKey(Unused: string): string;
begin
  if IsAdminInstallMode then
    Result := 'SYSTEM\CurrentControlSet\Control\Session Manager\Environment'
  else
    Result := 'Environment';
end;

function Place(Folder, Paths: string): Integer;
begin
  Result := Pos(';' + Uppercase(Folder) + ';', ';' + Uppercase(Paths) + ';');
end;

function NotOnPath(Folder: string): Boolean;
var
  Paths: string;
begin
  if not RegQueryStringValue(HKA, EnvironmentKey(''), 'Path', Paths) then
    Paths := '';
  Result := Place(Folder, Paths) = 0;
end;

// The entry is a part of a value that others write too, so it is cut out rather than deleted.
procedure CurUninstallStepChanged(CurUninstallStep: TUninstallStep);
var
  Folder, Paths: string;
  Start: Integer;
begin
  if CurUninstallStep <> usPostUninstall then
    Exit;
  if not RegQueryStringValue(HKA, EnvironmentKey(''), 'Path', Paths) then
    Exit;
  Folder := ExpandConstant('{app}');
  Start := Place(Folder, Paths);
  if Start = 0 then
    Exit;
  if Start > 1 then
    Start := Start - 1;
  Delete(Paths, Start, Length(Folder) + 1);
  RegWriteExpandStringValue(HKA, EnvironmentKey(''), 'Path', Paths);
end;
